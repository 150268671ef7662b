"""Examples drawn with replacement, as how often each was drawn."""

import numpy as np

from efficient360.quality.confidence_levels import Floats


def weights(n: int, draws: int, rng: np.random.Generator) -> Floats:
    """How often each of ``n`` examples is drawn, ``(draws, n)``; every row sums to ``n`` (Efron 1979)."""
    return np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(draws)]).astype(np.float64)
