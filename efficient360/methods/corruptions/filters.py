"""Image filters that several corruptions share: Gaussian smoothing, motion along a line, magnification."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, final

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from efficient360.methods.corruptions.corruption import Levels

BorderMode = Literal["nearest", "reflect"]
"""Padding beyond the border: the outermost value, or the image mirrored about its edge (``scipy.ndimage``'s names)."""

_BAND_ROWS = 64


@final
@dataclass(frozen=True)
class GaussianFilterBand:
    """Some rows of the matrix that smooths along an axis, without the columns that are zero in all of them.

    Args:
        rows: Which rows.
        columns: Which columns are kept.
        weights: float32 ``(rows, columns)``.
    """

    rows: slice
    columns: slice
    weights: Levels


def gaussian_smooth(levels: Levels, sigma: float, truncate: float = 4.0, border: BorderMode = "nearest") -> Levels:
    """Convolution with a Gaussian along the last two axes: two products with banded matrices, fast for any width and exact at the borders.

    Args:
        levels: float32 ``(N, H, W)``.
        sigma: Standard deviation in pixels; 0 changes nothing.
        truncate: Standard deviations after which the kernel ends.
        border: Padding beyond the border.
    """
    n, height, width = levels.shape
    if sigma == 0:
        return levels
    down = np.empty_like(levels)
    for band in gaussian_filter_bands(height, sigma, truncate, border):
        np.matmul(band.weights, levels[:, band.columns], out=down[:, band.rows])
    flat, across = down.reshape(n * height, width), np.empty((n * height, width), dtype=np.float32)
    for band in gaussian_filter_bands(width, sigma, truncate, border):
        np.matmul(flat[:, band.columns], band.weights.T, out=across[:, band.rows])
    return across.reshape(levels.shape)


@lru_cache(maxsize=64)
def gaussian_filter_bands(size: int, sigma: float, truncate: float, border: BorderMode) -> tuple[GaussianFilterBand, ...]:
    """The matrix ``(size, size)`` that smooths a vector as ``scipy.ndimage.gaussian_filter1d`` does, in bands of rows."""
    matrix = ndimage.gaussian_filter1d(np.eye(size), sigma, axis=0, truncate=truncate, mode=border).astype(np.float32)
    bands = []
    for start in range(0, size, _BAND_ROWS):
        rows = slice(start, min(start + _BAND_ROWS, size))
        used = np.flatnonzero(matrix[rows].any(axis=0))
        columns = slice(int(used[0]), int(used[-1]) + 1)
        bands.append(GaussianFilterBand(rows, columns, np.ascontiguousarray(matrix[rows, columns])))
    return tuple(bands)


def motion_kernel(radius: int, sigma: float, angle: float) -> dict[tuple[int, int], float]:
    """Weights by offset (down, right) of a line of ``2 · radius + 1`` points that starts at 0 and fades as half a Gaussian; they sum to 1.

    This is ImageMagick's motion blur, which the reference implementation calls.
    """
    steps = range(2 * radius + 1)
    fading = [math.exp(-(i**2) / (2 * sigma**2)) for i in steps]
    total, radians = sum(fading), math.pi * angle / 180
    # Operation by operation as in ImageMagick: at 30 degrees every other point lies half way between two pixels, and the last bit decides.
    down, right = len(steps) * math.sin(radians), len(steps) * math.cos(radians)
    length = math.hypot(down, right)
    weights: dict[tuple[int, int], float] = {}
    for i in steps:
        offset = math.ceil(i * down / length - 0.5), math.ceil(i * right / length - 0.5)
        weights[offset] = weights.get(offset, 0.0) + fading[i] / total
    return weights


def motion_filter(levels: Levels, radius: int, sigma: float, angle: float) -> Levels:
    """``(C, H, W)`` filtered with :func:`motion_kernel` at ``angle`` degrees below the horizontal; the border is padded with its outermost value."""
    _, height, width = levels.shape
    weights = motion_kernel(radius, sigma, angle)
    rows, columns = [0, *(offset[0] for offset in weights)], [0, *(offset[1] for offset in weights)]
    top, left = -min(rows), -min(columns)
    padded = torch.from_numpy(np.pad(levels, ((0, 0), (top, max(rows)), (left, max(columns))), mode="edge"))
    total = torch.zeros(levels.shape)
    for (down, right), weight in weights.items():
        total.add_(padded[:, top + down : top + down + height, left + right : left + right + width], alpha=weight)
    filtered: Levels = total.numpy()
    return filtered


def crop_size(size: int, factor: float) -> int:
    """How many of ``size`` pixels remain in view at a magnification of ``factor``."""
    return math.ceil(size / factor)


def zoom_in(images: Tensor, factor: float) -> Tensor:
    """The centre of images ``(N, C, H, W)`` magnified by ``factor``, at least 1, to the same size."""
    height, width = images.shape[2:]
    rows, columns = crop_size(height, factor), crop_size(width, factor)
    top, left = (height - rows) // 2, (width - columns) // 2
    return magnify(images[:, :, top : top + rows, left : left + columns], factor, height, width)


def magnify(crops: Tensor, factor: float, height: int, width: int) -> Tensor:
    """Crops ``(N, C, h, w)``, of levels or 8-bit values, magnified by ``factor`` and trimmed about their centre to ``(N, C, height, width)``.

    Bilinear interpolation with aligned corners, as ``scipy.ndimage.zoom`` of order 1. 8-bit values are rounded.
    """
    rows, columns = round(crops.shape[2] * factor), round(crops.shape[3] * factor)
    magnified: Tensor = torch.nn.functional.interpolate(crops, size=(rows, columns), mode="bilinear", align_corners=True)
    top, left = (rows - height) // 2, (columns - width) // 2
    return magnified[:, :, top : top + height, left : left + width]
