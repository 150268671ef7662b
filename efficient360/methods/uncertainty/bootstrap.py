"""Bootstrap resamples as counts: how often each example was drawn."""

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats

ResampleCounts = NDArray[np.uint8]
"""How often each of ``n`` examples occurs in each of ``r`` resamples, ``(r, n)``."""


def original_sample(n: int) -> ResampleCounts:
    """Every one of ``n`` examples once, ``(1, n)``: the sample itself."""
    return np.ones((1, n), dtype=np.uint8)


def bootstrap_counts(n: int, resamples: int, rng: np.random.Generator) -> ResampleCounts:
    """How often each of ``n`` examples is drawn in each resample of ``n`` with replacement (Efron 1979), ``(resamples, n)``."""
    counts = np.empty((resamples, n), dtype=np.uint8)
    for row in counts:
        row[:] = np.minimum(np.bincount(rng.integers(0, n, n), minlength=n), 255)
    return counts


def bootstrap_weights(n: int, resamples: int, rng: np.random.Generator) -> Floats:
    """As :func:`bootstrap_counts`, for matrix products: float64 ``(resamples, n)``."""
    return bootstrap_counts(n, resamples, rng).astype(np.float64)
