"""How much of the accuracy on clean images is kept under each condition, with intervals in pairs."""

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
class Kept:
    """Shares of the clean accuracy that are kept.

    Args:
        ratios: Accuracy under each condition over clean accuracy, float64 ``(C,)``, at least 0.
        intervals: Of each.
        mean: Mean of the ratios.
        mean_interval: Of the mean.
    """

    ratios: Floats
    intervals: tuple[Interval, ...]
    mean: float
    mean_interval: Interval


def kept(clean: NDArray[np.bool_], degraded: NDArray[np.bool_], resamples: int, rng: np.random.Generator) -> Kept | None:
    """Shares kept, with percentiles of a paired bootstrap: an example is drawn with its answers under every condition.

    Args:
        clean: Whether each example was answered rightly on the clean image, bool ``(n,)``.
        degraded: The same under each condition, bool ``(n, C)``.
        resamples: Draws behind the intervals.
        rng: Source of randomness.

    Returns:
        ``None`` when no clean image was answered rightly: nothing can be kept.
    """
    if not clean.any():
        return None
    answers = np.column_stack([clean, degraded])
    # Examples with the same answers are interchangeable: resampling them is a multinomial draw over the patterns.
    patterns, counts = np.unique(answers, axis=0, return_counts=True)
    drawn = rng.multinomial(len(answers), counts / len(answers), size=resamples) @ patterns.astype(np.int64)
    ratios = drawn[:, 1:] / np.maximum(drawn[:, :1], 1)
    value = degraded.sum(axis=0) / clean.sum()
    return Kept(
        value,
        tuple(percentiles_around(float(value[i]), ratios[:, i], METHOD) for i in range(degraded.shape[1])),
        float(value.mean()),
        percentiles_around(float(value.mean()), ratios.mean(axis=1), METHOD),
    )
