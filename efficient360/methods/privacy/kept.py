"""From right and wrong answers after each training to the accuracy kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Curve, Figure, Series, Table
from efficient360.core.formatting import significant
from efficient360.core.measurement import Conditions, Failure, Interval, Measurement, Outcome, Status
from efficient360.core.statistics import percentiles_around, wilson
from efficient360.methods.privacy.accounting import Exposure
from efficient360.methods.privacy.metrics import KEPT, PRIVATE_ACCURACY, SPENT

RESAMPLES = 1000
WITHOUT = "none"
"""``epsilon`` in the conditions of the training without noise."""


@final
@dataclass(frozen=True)
class Trained:
    """One training and its answers.

    Args:
        epsilon: ε asked for, ``None`` for the training without noise.
        noise: Deviation of the noise in units of the clipping norm.
        spent: ε spent, ``None`` without noise.
        right: Whether each test example was right, bool ``(m,)``.
    """

    epsilon: float | None
    noise: float
    spent: float | None
    right: NDArray[np.bool_]

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.right.mean())


def accuracy_outcomes(layers: str, trained: Sequence[Trained], examples: int, seed: int, drawn: Sequence[Figure]) -> Iterator[Outcome]:
    """Accuracy of each training, what is kept of that without noise, and the ε spent.

    Args:
        layers: What was trained.
        trained: The one without noise first.
        examples: How many training images the ε covers.
        seed: Of the bootstrap.
        drawn: Figures beside the first number.
    """
    plain = trained[0]
    for i, one in enumerate(trained):
        given: Conditions = {"layers": layers, "epsilon": _told(one.epsilon)}
        n = len(one.right)
        yield Measurement(PRIVATE_ACCURACY, one.accuracy, n, wilson(int(one.right.sum()), n), given, extra=tuple(drawn) if i == 0 else ())
        if one.spent is None:
            continue
        if plain.right.any():
            yield Measurement(KEPT, one.accuracy / plain.accuracy, n, ratio_interval(one.right, plain.right, seed), given)
        else:
            message = "nothing was learned without noise either: there is no accuracy to keep"
            yield Failure(Status.FAILED, "nothing-learned", message, "take more steps or another learning rate", KEPT, given)
        yield Measurement(SPENT, one.spent, examples, None, given)


def _told(epsilon: float | None) -> str | int | float:
    """ε as conditions carry it: a whole number without decimals."""
    if epsilon is None:
        return WITHOUT
    return int(epsilon) if epsilon == int(epsilon) else epsilon


def ratio_interval(private: NDArray[Any], plain: NDArray[Any], seed: int) -> Interval:
    """Bootstrap interval of a ratio of two accuracies on the same examples, which are drawn in pairs.

    Args:
        private: Right or wrong ``(m,)``.
        plain: Right or wrong ``(m,)``, not all wrong.
        seed: Of the resamples.
    """
    # Drawing pairs with replacement is a multinomial draw of how often each of the four kinds of pair occurs.
    kinds = np.array([(private & plain).sum(), (private & ~plain).sum(), (~private & plain).sum(), (~private & ~plain).sum()])
    drawn = np.random.default_rng(seed).multinomial(len(private), kinds / len(private), RESAMPLES)
    above, below = drawn[:, 0] + drawn[:, 1], drawn[:, 0] + drawn[:, 2]
    ratios = above[below > 0] / below[below > 0]
    return percentiles_around(float(private.mean() / plain.mean()), ratios if len(ratios) else np.zeros(1), "paired-bootstrap")


def figures(layers: str, trained: Sequence[Trained], exposure: Exposure, examples: int) -> tuple[Figure, ...]:
    """Accuracy against ε over that without noise, and a table of what was spent."""
    private = sorted((one for one in trained if one.epsilon is not None), key=lambda one: one.epsilon or 0.0)
    budgets = tuple(float(one.epsilon or 0.0) for one in private)
    ends = [wilson(int(one.right.sum()), len(one.right)) for one in private]
    plain = trained[0].accuracy
    points = Series("private", budgets, tuple(one.accuracy for one in private), tuple(i.low for i in ends), tuple(i.high for i in ends), "points")
    reference = Series("without noise", (budgets[0], budgets[-1]), (plain, plain), style="reference")
    what = "the head" if layers == "head" else "all layers"
    curve = Curve(f"Private fine-tuning of {what}", "ε", "accuracy", (reference, points), x_log=True)
    rows = tuple(
        (_told(one.epsilon), "" if one.spent is None else significant(one.spent, 4), significant(one.noise, 4), f"{100 * one.accuracy:.1f} %")
        for one in trained
    )
    told = f"{exposure.steps} steps, each image in a step with a chance of {significant(100 * exposure.rate)} %, δ {exposure.delta:.2g}, {examples:,} images"
    return curve, Table(f"Fine-tuning of {what}: {told}", ("ε", "ε spent", "noise", "accuracy"), rows)
