"""The smallest variant that loses no more than is tolerated, and how sure that is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Figure
from efficient360.core.measurement import Measurement
from efficient360.core.statistics import percentiles_around
from efficient360.methods.compression import metrics
from efficient360.methods.compression.pictures import points
from efficient360.methods.compression.trial import Trial

EXACT = 1e-9
"""Below any difference of two shares of examples."""


def chosen(trials: Sequence[Trial], tolerance: float) -> Trial | None:
    """The variant with the largest ratio above 1 whose accuracy changed by no less than ``-tolerance``; ``None`` where there is none."""
    within = [trial for trial in trials if trial.ratio > 1 and trial.change >= -tolerance - EXACT]
    return max(within, key=lambda trial: trial.ratio, default=None)


def best(trials: Sequence[Trial], tolerance: float, resamples: int, seed: Sequence[int], extra: tuple[Figure, ...]) -> Measurement:
    """The ratio of the variant :func:`chosen`; 1 where there is none.

    The interval is a bootstrap over images, the choice among the variants made anew in each resample, all of them on the same images.

    Args:
        trials: At least one, all on the same images.
        tolerance: Share of accuracy that may be lost.
        resamples: Of the images.
        seed: Of the resampling.
        extra: Figures beside the number.
    """
    ratios = np.array([trial.ratio for trial in trials])
    changes = np.stack([trial.right.astype(np.float64) - trial.before for trial in trials])
    n = changes.shape[1]
    found = chosen(trials, tolerance)
    value = 1.0 if found is None else found.ratio
    # Images on which nothing changed are alike: one box for all of them.
    moved = changes[:, (changes != 0).any(0)]
    boxes = np.full(moved.shape[1] + 1, 1 / n)
    boxes[-1] = 1 - moved.shape[1] / n
    rng = np.random.default_rng(seed)
    drawn = np.stack([moved @ rng.multinomial(n, boxes)[:-1] for _ in range(resamples)]) / n
    interval = percentiles_around(value, _largest(ratios, drawn, tolerance), "paired-bootstrap")
    return Measurement(metrics.BEST, value, n, interval, {"tolerated": points(tolerance)}, extra=extra)


def _largest(ratios: NDArray[np.float64], changes: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """The largest ratio that stays within the tolerance, ``(r,)``, of changes ``(r, variants)``."""
    found: NDArray[np.float64] = np.where(changes >= -tolerance - EXACT, np.maximum(ratios, 1.0), 1.0).max(1)
    return found
