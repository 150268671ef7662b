"""What a report shows of the attacks: the ROC on logarithmic axes, and how the model does on either side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Curve, Series, Table
from efficient360.methods.privacy.attack import Attack
from efficient360.methods.privacy.signals import LOSS, MARGIN

POINTS = 60
"""Of each curve: two logarithmic axes need no more."""


def roc_figure(attacks: Sequence[Attack]) -> Curve:
    """True against false positive rate of every attack, both axes logarithmic (Carlini et al. 2022), over the line of guessing."""
    fewest = max(len(attack.others) for attack in attacks)
    guess = Series("guessing", (1 / fewest, 1.0), (1 / fewest, 1.0), style="reference")
    return Curve(
        "Telling training images from others", "false positive rate", "true positive rate", (guess, *(_series(a) for a in attacks)), x_log=True, y_log=True
    )


def _series(attack: Attack) -> Series:
    found, n = attack.roc, len(attack.others)
    alarms = np.unique(np.rint(np.geomspace(1, n, POINTS)).astype(np.int64))
    rates = [(int(a) / n, found.hits_within(int(a)) / len(attack.members)) for a in alarms]
    drawn = [(x, y) for x, y in rates if y > 0]  # a logarithmic axis has no 0
    return Series(attack.name, tuple(x for x, _ in drawn), tuple(y for _, y in drawn))


def sides_table(members: NDArray[Any], others: NDArray[Any]) -> Table:
    """Accuracy and loss on training images and on others: how far the model generalises.

    Args:
        members: Signals ``(n, 4)``.
        others: Signals ``(n, 4)``.
    """
    rows = tuple(
        (name, len(s), f"{100 * (s[:, MARGIN] > 0).mean():.1f} %", round(float(s[:, LOSS].mean()), 4), round(float(np.median(s[:, LOSS])), 4))
        for name, s in (("training images", members), ("others", others))
    )
    return Table("The model on either side", ("Images", "n", "Right", "Mean loss", "Median loss"), rows)
