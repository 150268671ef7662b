"""Spatter on the lens: drops of water, or mud."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from efficient360.methods.corruptions.corruption import Corruption, Levels, Pixels, quantised
from efficient360.methods.corruptions.edges import canny
from efficient360.methods.corruptions.smoothing import smoothed

_WATER = np.array([175, 238, 238], dtype=np.float32)[:, None, None]
_MUD = np.array([63, 42, 20], dtype=np.float32)[:, None, None]
_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
_FAR = 20.0


@final
@dataclass(frozen=True)
class Rain(Corruption):
    """Drops of water, lit from one side.

    Args:
        mean: Of the noise that drops are cut from.
        spread: Its standard deviation.
        size: Of the drops: how smooth the noise is, in pixels.
        threshold: What the noise must reach to be a drop.
        strength: How bright the drops are, white being 1.
    """

    mean: float
    spread: float
    size: float
    threshold: float
    strength: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Drops of water, lit from a side, where a random layer is thick enough."""
        layer = _liquid(pixels, self.mean, self.spread, self.size, rng)
        drops = quantised(np.where(layer < self.threshold, 0, layer * 255))
        shine = drops * _relief(drops)
        brightest = float(shine.max())
        if brightest == 0:
            return pixels.copy()
        return quantised(pixels + shine * np.float32(self.strength / brightest) * _WATER)


@final
@dataclass(frozen=True)
class Mud(Corruption):
    """Splashes of mud.

    Args:
        mean: As of :class:`Rain`.
        spread: As of :class:`Rain`.
        size: As of :class:`Rain`.
        threshold: As of :class:`Rain`.
        softness: Of the splashes' rims, in pixels.
    """

    mean: float
    spread: float
    size: float
    threshold: float
    softness: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Cover with brown where a random layer is thick enough."""
        layer = _liquid(pixels, self.mean, self.spread, self.size, rng)
        cover = smoothed((layer > self.threshold).astype(np.float32)[None], self.softness)[0]
        cover[cover < 0.8] = 0
        return quantised(pixels * (1 - cover) + cover * _MUD)


def _liquid(pixels: Pixels, mean: float, spread: float, size: float, rng: np.random.Generator) -> Levels:
    noise = rng.standard_normal((1, *pixels.shape[1:]), dtype=np.float32)
    noise *= spread
    noise += mean
    layer: Levels = smoothed(noise, size)[0]
    return layer


def _relief(drops: NDArray[np.uint8]) -> Levels:
    """How a surface that rises with the distance from the drops' edges shines: whole levels 0 … 255, float32 ``(H, W)``."""
    edges = canny(drops, 50, 150)
    distance = np.minimum(ndimage.distance_transform_edt(~edges), _FAR) if edges.any() else np.full(drops.shape, _FAR)
    height = _equalised(ndimage.uniform_filter(distance, 3, mode="mirror").astype(np.uint8))
    lit = np.clip(ndimage.correlate(height.astype(np.int32), _RELIEF, mode="mirror"), 0, 255)
    shine: Levels = np.rint(ndimage.uniform_filter(lit.astype(np.float32), 3, mode="mirror"))
    return shine


def _equalised(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Histogram equalisation: the darkest value becomes 0, the brightest 255; an image of one value stays."""
    counts = np.bincount(grey.ravel(), minlength=256)
    first = int(np.flatnonzero(counts)[0])
    rest = grey.size - int(counts[first])
    if rest == 0:
        return grey
    above = np.cumsum(np.where(np.arange(256) > first, counts, 0))
    table: NDArray[np.uint8] = np.rint(above * (255 / rest)).astype(np.uint8)
    return table[grey]
