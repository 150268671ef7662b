"""Gaussian smoothing as two products with matrices that are zero off a band: quick for any width, and exact at the borders."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, final

import numpy as np
from scipy import ndimage

from efficient360.methods.corruptions.corruption import Levels

Border = Literal["nearest", "reflect"]
"""What lies beyond the border: the outermost value, or the image mirrored about its edge (``scipy.ndimage``'s names)."""

_ROWS = 64


@final
@dataclass(frozen=True)
class Band:
    """Some rows of the matrix that smooths along an axis, without the columns where all of them are 0.

    Args:
        rows: Which rows.
        columns: Which columns are kept.
        weights: float32 ``(rows, columns)``.
    """

    rows: slice
    columns: slice
    weights: Levels


def smoothed(levels: Levels, sigma: float, truncate: float = 4.0, border: Border = "nearest") -> Levels:
    """Convolution with a Gaussian along the last two axes.

    Args:
        levels: float32 ``(N, H, W)``.
        sigma: Standard deviation in pixels; 0 changes nothing.
        truncate: Standard deviations after which the kernel ends.
        border: What lies beyond the border.
    """
    n, height, width = levels.shape
    if sigma == 0:
        return levels
    down = np.empty_like(levels)
    for band in bands(height, sigma, truncate, border):
        np.matmul(band.weights, levels[:, band.columns], out=down[:, band.rows])
    flat, across = down.reshape(n * height, width), np.empty((n * height, width), dtype=np.float32)
    for band in bands(width, sigma, truncate, border):
        np.matmul(flat[:, band.columns], band.weights.T, out=across[:, band.rows])
    return across.reshape(levels.shape)


@lru_cache(maxsize=64)
def bands(size: int, sigma: float, truncate: float, border: Border) -> tuple[Band, ...]:
    """The matrix ``(size, size)`` that smooths a vector as ``scipy.ndimage.gaussian_filter1d`` does, in bands of rows."""
    matrix = ndimage.gaussian_filter1d(np.eye(size), sigma, axis=0, truncate=truncate, mode=border).astype(np.float32)
    found = []
    for start in range(0, size, _ROWS):
        rows = slice(start, min(start + _ROWS, size))
        used = np.flatnonzero(matrix[rows].any(axis=0))
        columns = slice(int(used[0]), int(used[-1]) + 1)
        found.append(Band(rows, columns, np.ascontiguousarray(matrix[rows, columns])))
    return tuple(found)
