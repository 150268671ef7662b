"""A plasma fractal: a cloudy map from coarse to fine."""

import numpy as np

from efficient360.methods.corruptions.corruption import Levels


def plasma(size: int, decay: float, rng: np.random.Generator) -> Levels:
    """Clouds by the diamond-square algorithm (Fournier, Fussell & Carpenter 1982) on a torus, float32 ``(size, size)`` from 0 to 1.

    Args:
        size: A power of two.
        decay: How much weaker each finer level is; the amplitude falls with its square, as in the reference.
        rng: The randomness.
    """
    clouds = np.zeros((1, 1), dtype=np.float32)
    amplitude = 1.0
    while len(clouds) < size:
        n = len(clouds)
        noise = rng.random((3, n, n), dtype=np.float32)
        noise *= 2 * amplitude
        noise -= amplitude
        pairs = clouds + _next(clouds, 0)
        centres = (pairs + _next(pairs, 1)) / 4 + noise[0]
        finer = np.empty((2 * n, 2 * n), dtype=np.float32)
        finer[::2, ::2], finer[1::2, 1::2] = clouds, centres
        finer[::2, 1::2] = (centres + _previous(centres, 0) + clouds + _next(clouds, 1)) / 4 + noise[1]
        finer[1::2, ::2] = (centres + _previous(centres, 1) + clouds + _next(clouds, 0)) / 4 + noise[2]
        clouds = finer
        amplitude /= decay**2
    clouds -= clouds.min()
    clouds /= clouds.max()
    return clouds


def _next(grid: Levels, axis: int) -> Levels:
    return np.concatenate([grid[1:], grid[:1]]) if axis == 0 else np.concatenate([grid[:, 1:], grid[:, :1]], axis=1)


def _previous(grid: Levels, axis: int) -> Levels:
    return np.concatenate([grid[-1:], grid[:-1]]) if axis == 0 else np.concatenate([grid[:, -1:], grid[:, :-1]], axis=1)
