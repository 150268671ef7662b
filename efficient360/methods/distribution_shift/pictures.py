"""Figures of a comparison with shifted sets."""

from collections.abc import Iterator, Sequence

import numpy as np

from efficient360.core.figures import Bars, Gallery, Picture, Table
from efficient360.core.formatting import count, number
from efficient360.core.measurement import Metric
from efficient360.core.statistics import wilson
from efficient360.core.thumbnails import data_uri
from efficient360.methods.distribution_shift.comparison import Comparison


def bars(of: Sequence[Comparison]) -> Bars:
    """Accuracy on the clean and on the shifted images of each set, side by side, with Wilson intervals."""
    sides = [(f"{one.part.shift.title}: {side}", right) for one in of for side, right in (("clean", one.baseline), ("shifted", one.right)) if len(right)]
    intervals = [wilson(int(right.sum()), len(right)) for _, right in sides]
    return Bars(
        "Clean and shifted images of the same classes",
        "images",
        "accuracy",
        tuple(label for label, _ in sides),
        tuple(float(right.mean()) for _, right in sides),
        tuple(i.low for i in intervals),
        tuple(i.high for i in intervals),
    )


def table(of: Sequence[Comparison]) -> Table:
    """What each set was compared with, and how."""
    rows = tuple(
        (
            one.part.shift.title,
            count(len(one.right)),
            count(len(one.baseline)),
            count(len(one.part.shift.classes)) if one.part.shift.classes else "all",
            "the same examples, in pairs" if one.part.paired else "independent samples",
            one.part.examples.digest[:12],
        )
        for one in of
    )
    return Table("What was compared", ("shifted set", "shifted images", "clean images", "classes to choose from", "compared as", "digest"), rows)


def mistakes(of: Comparison, most: int, confidence: Metric) -> Iterator[Gallery]:
    """The most confident mistakes on the shifted images; nothing where there are none."""
    examples, names = of.part.examples, of.part.examples.class_names
    wrong = np.flatnonzero(~of.right)
    chosen = wrong[np.argsort(-of.confidences[wrong], kind="stable")][:most]
    if not len(chosen):
        return
    batches = examples.select([examples.ids[i] for i in chosen]).batches(1)
    yield Gallery(
        f"Hardest mistakes on {of.part.shift.title}",
        tuple(
            Picture(
                data_uri(batch.images[0]),
                f"predicted {names[of.predictions[i]]}, is {names[examples.labels[i]]}",
                f"{examples.ids[i]}, confidence {number(float(of.confidences[i]), confidence)}",
            )
            for i, batch in zip(chosen, batches, strict=True)
        ),
    )
