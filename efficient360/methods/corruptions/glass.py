"""Frosted glass: pixels taken from close by, between two slight blurs."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.methods.corruptions.corruption import Corruption, Pixels, quantised
from efficient360.methods.corruptions.smoothing import smoothed


@final
@dataclass(frozen=True)
class GlassBlur(Corruption):
    """Seen through frosted glass.

    Args:
        sigma: Of the two blurs, in pixels.
        reach: How far away a pixel may be taken from.
        passes: How often the image is gone through.
    """

    sigma: float
    reach: int
    passes: int

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Blur, exchange near pixels at random, blur again."""
        _, height, width = pixels.shape
        origin = np.arange(height * width)
        for _ in range(self.passes):
            shifts = rng.integers(-self.reach, self.reach, (2, *interior(height, width, self.reach).shape), dtype=np.int8)
            origin = origin[sources(shifts, height, width, self.reach)]
        soft = quantised(smoothed(pixels.astype(np.float32), self.sigma))
        mixed = soft.reshape(3, -1).take(origin, axis=1).reshape(pixels.shape)
        return quantised(smoothed(mixed.astype(np.float32), self.sigma))


def interior(height: int, width: int, reach: int) -> NDArray[np.int64]:
    """Flat positions of the pixels that a pass replaces: those whose whole neighbourhood lies within the image."""
    rows, columns = np.arange(reach + 1, height - reach + 1), np.arange(reach + 1, width - reach + 1)
    return rows[:, None] * width + columns


def sources(shifts: NDArray[np.int8], height: int, width: int, reach: int) -> NDArray[np.int64]:
    """Which pixel of the image before a pass each position holds after it, flat, int64 ``(H·W,)``.

    The reference goes through the pixels from the last to the first and exchanges each with a random neighbour; but it exchanges views
    of one array, so the neighbour stays as it was and the pixel becomes its copy. What is copied depends on what was copied before:
    a neighbour further on holds its new value already, one further back its old. All those chains are followed at once, the
    step doubling every time.

    Args:
        shifts: Vertical and horizontal distance of each interior pixel's neighbour, ``(2, h, w)``, from ``-reach`` to ``reach - 1``.
        height: Of the image.
        width: Of the image.
        reach: As in :func:`interior`.
    """
    size = height * width
    place = interior(height, width, reach)
    neighbour = place + shifts[0].astype(np.int64) * width + shifts[1]
    # 0 … size-1 are pixels after the pass, size … 2·size-1 the same before it.
    follows = np.arange(2 * size)
    follows[:size] += size
    follows[place] = np.where(neighbour > place, neighbour, neighbour + size)
    while (follows[:size] < size).any():
        follows[:size] = follows[follows[:size]]
    return follows[:size] - size
