"""Relative accuracy under each condition, the share of the clean accuracy that is retained, with paired bootstrap intervals."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Interval
from efficient360.core.statistics import percentiles_around

METHOD: Final = "paired-bootstrap"


@final
@dataclass(frozen=True)
class RelativeAccuracy:
    """Accuracy under each condition relative to the clean accuracy.

    Args:
        ratios: Accuracy under each condition over clean accuracy, float64 ``(C,)``, at least 0.
        intervals: One for each ratio.
        mean: Mean of the ratios.
        mean_interval: Of the mean.
    """

    ratios: Floats
    intervals: tuple[Interval, ...]
    mean: float
    mean_interval: Interval


def relative_accuracy(clean: NDArray[np.bool_], degraded: NDArray[np.bool_], resamples: int, rng: np.random.Generator) -> RelativeAccuracy | None:
    """Relative accuracies with percentile intervals of a paired bootstrap: an example is resampled with its results under every condition.

    Args:
        clean: Whether each example is classified correctly on the clean image, bool ``(n,)``.
        degraded: The same under each condition, bool ``(n, C)``.
        resamples: Bootstrap resamples behind the intervals.
        rng: Source of randomness.

    Returns:
        ``None`` when no clean image is classified correctly: the ratio is undefined.
    """
    if not clean.any():
        return None
    correct = np.column_stack([clean, degraded])
    # Examples with the same results are interchangeable: resampling them is a multinomial draw over the patterns.
    patterns, counts = np.unique(correct, axis=0, return_counts=True)
    drawn = rng.multinomial(len(correct), counts / len(correct), size=resamples) @ patterns.astype(np.int64)
    ratios = drawn[:, 1:] / np.maximum(drawn[:, :1], 1)
    value = degraded.sum(axis=0) / clean.sum()
    return RelativeAccuracy(
        value,
        tuple(percentiles_around(float(value[i]), ratios[:, i], METHOD) for i in range(degraded.shape[1])),
        float(value.mean()),
        percentiles_around(float(value.mean()), ratios.mean(axis=1), METHOD),
    )
