"""Examples drawn with replacement, as how often each was drawn."""

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats

Counts = NDArray[np.uint8]


def sample(n: int) -> Counts:
    """Every one of ``n`` examples once, ``(1, n)``: the sample itself."""
    return np.ones((1, n), dtype=np.uint8)


def resampled(n: int, resamples: int, rng: np.random.Generator) -> Counts:
    """How often each of ``n`` examples is drawn in each resample of ``n`` with replacement (Efron 1979), ``(resamples, n)``."""
    counts = np.empty((resamples, n), dtype=np.uint8)
    for row in counts:
        row[:] = np.minimum(np.bincount(rng.integers(0, n, n), minlength=n), 255)
    return counts


def weights(n: int, draws: int, rng: np.random.Generator) -> Floats:
    """As :func:`resampled`, to be multiplied with: float64 ``(draws, n)``."""
    return resampled(n, draws, rng).astype(np.float64)
