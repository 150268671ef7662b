"""Spatter on the lens: drops of water, or mud."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from efficient360.methods.corruptions.corruption import ImageCorruption, Levels, Pixels, quantise
from efficient360.methods.corruptions.filters import gaussian_smooth

_WATER = np.array([175, 238, 238], dtype=np.float32)[:, None, None]
_MUD = np.array([63, 42, 20], dtype=np.float32)[:, None, None]
_EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
_MAX_DISTANCE = 20.0
_TAN_22 = np.sqrt(2) - 1
_EIGHT_CONNECTED = np.ones((3, 3))


@final
@dataclass(frozen=True)
class WaterSpatter(ImageCorruption):
    """Drops of water, lit from one side.

    Args:
        mean: Of the Gaussian noise that drops are thresholded from.
        spread: Its standard deviation.
        size: Of the drops: standard deviation of the noise's smoothing, in pixels.
        threshold: What the noise must reach to be a drop.
        strength: How bright the drops are, white being 1.
    """

    mean: float
    spread: float
    size: float
    threshold: float
    strength: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        layer = _liquid_layer(pixels, self.mean, self.spread, self.size, rng)
        drops = quantise(np.where(layer < self.threshold, 0, layer * 255))
        shine = drops * _relief(drops)
        largest = float(shine.max())
        if largest == 0:
            return pixels.copy()
        return quantise(pixels + shine * np.float32(self.strength / largest) * _WATER)


@final
@dataclass(frozen=True)
class MudSpatter(ImageCorruption):
    """Splashes of mud.

    Args:
        mean: As of :class:`WaterSpatter`.
        spread: As of :class:`WaterSpatter`.
        size: As of :class:`WaterSpatter`.
        threshold: As of :class:`WaterSpatter`.
        softness: Of the splashes' rims, in pixels.
    """

    mean: float
    spread: float
    size: float
    threshold: float
    softness: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        layer = _liquid_layer(pixels, self.mean, self.spread, self.size, rng)
        cover = gaussian_smooth((layer > self.threshold).astype(np.float32)[None], self.softness)[0]
        cover[cover < 0.8] = 0
        return quantise(pixels * (1 - cover) + cover * _MUD)


def _liquid_layer(pixels: Pixels, mean: float, spread: float, size: float, rng: np.random.Generator) -> Levels:
    noise = rng.standard_normal((1, *pixels.shape[1:]), dtype=np.float32)
    noise *= spread
    noise += mean
    layer: Levels = gaussian_smooth(noise, size)[0]
    return layer


def _relief(drops: NDArray[np.uint8]) -> Levels:
    """Shine of a surface that rises with the distance from the drops' edges: whole levels 0 … 255, float32 ``(H, W)``."""
    edges = canny_edges(drops, 50, 150)
    distance = np.minimum(ndimage.distance_transform_edt(~edges), _MAX_DISTANCE) if edges.any() else np.full(drops.shape, _MAX_DISTANCE)
    height = _equalise_histogram(ndimage.uniform_filter(distance, 3, mode="mirror").astype(np.uint8))
    lit = np.clip(ndimage.correlate(height.astype(np.int32), _EMBOSS, mode="mirror"), 0, 255)
    shine: Levels = np.rint(ndimage.uniform_filter(lit.astype(np.float32), 3, mode="mirror"))
    return shine


def _equalise_histogram(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Histogram equalisation: the smallest value becomes 0, the largest 255; an image of one value stays unchanged."""
    counts = np.bincount(grey.ravel(), minlength=256)
    first = int(np.flatnonzero(counts)[0])
    rest = grey.size - int(counts[first])
    if rest == 0:
        return grey
    cumulative = np.cumsum(np.where(np.arange(256) > first, counts, 0))
    table: NDArray[np.uint8] = np.rint(cumulative * (255 / rest)).astype(np.uint8)
    return table[grey]


def canny_edges(grey: NDArray[np.uint8], low: int, high: int) -> NDArray[np.bool_]:
    """Canny's edge detector (Canny 1986) as OpenCV computes it on an 8-bit image ``(H, W)``.

    Edges are maxima of the gradient (3×3 Sobel, L1 norm) along its direction above ``low`` that are connected to one above ``high``.
    """
    signed = grey.astype(np.int32)
    dx, dy = ndimage.sobel(signed, axis=1, mode="nearest"), ndimage.sobel(signed, axis=0, mode="nearest")
    magnitude = np.abs(dx) + np.abs(dy)
    weak = (magnitude > low) & _non_maximum_suppression(magnitude, dx, dy)
    labels, count = ndimage.label(weak, structure=_EIGHT_CONNECTED)
    strong = np.zeros(count + 1, dtype=bool)
    strong[labels[weak & (magnitude > high)]] = True
    strong[0] = False
    edges: NDArray[np.bool_] = strong[labels]
    return edges


def _non_maximum_suppression(magnitude: NDArray[np.int32], dx: NDArray[np.int32], dy: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether the gradient is weaker at both neighbours along its direction."""
    padded = np.pad(magnitude, 1)
    height, width = magnitude.shape

    def neighbour(rows: int, columns: int) -> NDArray[np.int32]:
        return padded[1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    flat = np.abs(dy) < _TAN_22 * np.abs(dx)
    steep = np.abs(dy) > np.abs(dx) / _TAN_22
    falling = (dx >= 0) == (dy >= 0)
    horizontal = (magnitude > neighbour(0, -1)) & (magnitude >= neighbour(0, 1))
    vertical = (magnitude > neighbour(-1, 0)) & (magnitude >= neighbour(1, 0))
    diagonal = (magnitude > neighbour(-1, -1)) & (magnitude > neighbour(1, 1))
    antidiagonal = (magnitude > neighbour(-1, 1)) & (magnitude > neighbour(1, -1))
    return np.where(flat, horizontal, np.where(steep, vertical, np.where(falling, diagonal, antidiagonal)))
