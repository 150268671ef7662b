"""Figures of the comparison with shifted sets."""

from collections.abc import Iterator, Sequence

import numpy as np

from efficient360.core.figures import Bars, Gallery, Picture, Table
from efficient360.core.formatting import count, number
from efficient360.core.measurement import Metric
from efficient360.core.statistics import wilson
from efficient360.core.thumbnails import data_uri
from efficient360.methods.distribution_shift.shift_comparison import ShiftComparison


def accuracy_bars(comparisons: Sequence[ShiftComparison]) -> Bars:
    """Accuracy on the clean and on the shifted images of each set, side by side, with Wilson intervals."""
    sides = [
        (f"{comparison.sample.shift.title}: {side}", correct)
        for comparison in comparisons
        for side, correct in (("clean", comparison.clean_correct), ("shifted", comparison.shifted_correct))
        if len(correct)
    ]
    intervals = [wilson(int(correct.sum()), len(correct)) for _, correct in sides]
    return Bars(
        "Accuracy on clean and shifted images of the same classes",
        "test set",
        "accuracy",
        tuple(label for label, _ in sides),
        tuple(float(correct.mean()) for _, correct in sides),
        tuple(i.low for i in intervals),
        tuple(i.high for i in intervals),
    )


def comparison_table(comparisons: Sequence[ShiftComparison]) -> Table:
    """What each shifted set is compared with, and how."""
    rows = []
    for comparison in comparisons:
        shift, examples = comparison.sample.shift, comparison.sample.examples
        rows.append(
            (
                shift.title,
                count(len(comparison.shifted_correct)),
                count(len(comparison.clean_correct)),
                count(len(shift.classes)) if shift.classes else "all",
                "paired: the same examples" if comparison.sample.paired else "independent samples",
                examples.digest[:12],
            )
        )
    columns = ("shifted set", "shifted images", "clean images", "candidate classes", "comparison", "digest")
    return Table("Shifted sets and the clean images they are compared with", columns, tuple(rows))


def most_confident_errors(comparison: ShiftComparison, limit: int, confidence: Metric) -> Iterator[Gallery]:
    """The most confident errors on the shifted images; nothing where there are none."""
    sample = comparison.sample
    examples, names = sample.examples, sample.examples.class_names
    errors = np.flatnonzero(~comparison.shifted_correct)
    shown = errors[np.argsort(-comparison.confidences[errors], kind="stable")][:limit]
    if not len(shown):
        return
    batches = examples.select([examples.ids[i] for i in shown]).batches(1)
    yield Gallery(
        f"Most confident errors on {sample.shift.title}",
        tuple(
            Picture(
                data_uri(batch.images[0]),
                f"predicted {names[comparison.predictions[i]]}, true {names[examples.labels[i]]}",
                f"{examples.ids[i]}, confidence {number(float(comparison.confidences[i]), confidence)}",
            )
            for i, batch in zip(shown, batches, strict=True)
        ),
    )
