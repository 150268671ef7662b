"""Blur: defocus, frosted glass, motion, zoom and Gaussian."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage

from efficient360.methods.corruptions.corruption import ImageCorruption, Levels, Pixels, quantise
from efficient360.methods.corruptions.filters import gaussian_smooth, motion_filter, zoom_in

_NEGLIGIBLE = 1e-9


@final
@dataclass(frozen=True)
class GaussianBlur(ImageCorruption):
    """A Gaussian blur.

    Args:
        sigma: Standard deviation in pixels.
    """

    sigma: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return quantise(gaussian_smooth(pixels.astype(np.float32), self.sigma))


@final
@dataclass(frozen=True)
class MotionBlur(ImageCorruption):
    """The camera moved, more or less sideways: every point is drawn out into a fading line.

    Args:
        radius: The line has ``2 · radius + 1`` points.
        sigma: How fast it fades, in pixels.
    """

    radius: int
    sigma: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return quantise(motion_filter(pixels.astype(np.float32), self.radius, self.sigma, rng.uniform(-45, 45)))


@final
@dataclass(frozen=True)
class ZoomBlur(ImageCorruption):
    """The mean of the image and its magnifications, as when moving fast towards the scene.

    Each magnification is rounded to 8 bits, whose error the mean over a dozen or more of them brings below a tenth of a level.

    Args:
        max_factor: Upper bound of the magnifications, exclusive.
        step: From one magnification to the next.
    """

    max_factor: float
    step: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        factors = np.arange(1, self.max_factor, self.step)
        # Channels last: torch's interpolation of 8-bit images is fast that way.
        image = torch.from_numpy(pixels)[None].contiguous(memory_format=torch.channels_last)
        total = image.int()
        for factor in factors:
            total += zoom_in(image, float(factor))
        mean: Levels = (total[0].contiguous().float() / (len(factors) + 1)).numpy()
        return quantise(mean)


@final
@dataclass(frozen=True)
class DefocusBlur(ImageCorruption):
    """Out of focus: convolution with a disc.

    Args:
        radius: Of the disc, in pixels.
        softness: Standard deviation of the Gaussian that softens the disc's rim, in pixels.
    """

    radius: float
    softness: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        kernel = defocus_kernel(self.radius, self.softness)
        reach = len(kernel) // 2
        padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach)), mode="reflect").astype(np.float32)
        shape = (fft.next_fast_len(padded.shape[1], real=True), fft.next_fast_len(padded.shape[2], real=True))
        spectrum = fft.rfft2(padded, shape)
        spectrum *= _kernel_spectrum(self.radius, self.softness, shape)
        blurred: Levels = fft.irfft2(spectrum, shape)
        _, height, width = pixels.shape
        return quantise(blurred[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width])


@lru_cache(maxsize=32)
def defocus_kernel(radius: float, softness: float) -> NDArray[np.float64]:
    """The reference's defocus kernel, odd and square, without its outer zeros.

    The disc is drawn on a grid just large enough for it, and smoothing mirrors it at the grid's rim: so a kernel may sum to a percent
    more than 1 and brighten the image as much, as it does in ImageNet-C.
    """
    reach, half = (8, 1) if radius <= 8 else (int(radius), 2)
    position = np.arange(-reach, reach + 1)
    disc = (position**2 + position[:, None] ** 2 <= radius**2).astype(np.float64)
    taps = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * softness**2))
    soft = disc / disc.sum()
    for axis in (0, 1):
        soft = ndimage.correlate1d(soft, taps / taps.sum(), axis=axis, mode="mirror")
    soft[soft < _NEGLIGIBLE] = 0
    used = int(np.abs(position[soft.any(axis=0)]).max())
    kernel: NDArray[np.float64] = soft[reach - used : reach + used + 1, reach - used : reach + used + 1]
    return kernel


@lru_cache(maxsize=32)
def _kernel_spectrum(radius: float, softness: float, shape: tuple[int, int]) -> NDArray[Any]:
    spectrum: NDArray[Any] = fft.rfft2(defocus_kernel(radius, softness).astype(np.float32), shape)
    return spectrum


@final
@dataclass(frozen=True)
class GlassBlur(ImageCorruption):
    """Frosted glass: pixels copied from random neighbours, between two slight Gaussian blurs.

    Args:
        sigma: Of the two blurs, in pixels.
        max_shift: Largest distance of the neighbour, in pixels along each axis.
        passes: How often every pixel is replaced.
    """

    sigma: float
    max_shift: int
    passes: int

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        _, height, width = pixels.shape
        origin = np.arange(height * width)
        for _ in range(self.passes):
            shifts = rng.integers(-self.max_shift, self.max_shift, (2, *interior_positions(height, width, self.max_shift).shape), dtype=np.int8)
            origin = origin[source_positions(shifts, height, width, self.max_shift)]
        soft = quantise(gaussian_smooth(pixels.astype(np.float32), self.sigma))
        shuffled = soft.reshape(3, -1).take(origin, axis=1).reshape(pixels.shape)
        return quantise(gaussian_smooth(shuffled.astype(np.float32), self.sigma))


def interior_positions(height: int, width: int, max_shift: int) -> NDArray[np.int64]:
    """Flat positions of the pixels that a pass replaces: those whose whole neighbourhood lies within the image."""
    rows, columns = np.arange(max_shift + 1, height - max_shift + 1), np.arange(max_shift + 1, width - max_shift + 1)
    return rows[:, None] * width + columns


def source_positions(shifts: NDArray[np.int8], height: int, width: int, max_shift: int) -> NDArray[np.int64]:
    """Flat position before a pass of the pixel that each position holds after it, int64 ``(H·W,)``.

    The reference visits the pixels from the last to the first and swaps each with a random neighbour; but it swaps views
    of one array, so the neighbour keeps its value and the pixel becomes its copy. What is copied depends on earlier copies:
    a neighbour further on already holds its new value, one further back its old. All these chains are resolved at once by
    pointer doubling.

    Args:
        shifts: Vertical and horizontal distance of each interior pixel's neighbour, ``(2, h, w)``, from ``-max_shift`` to ``max_shift - 1``.
        height: Of the image.
        width: Of the image.
        max_shift: As in :func:`interior_positions`.
    """
    size = height * width
    position = interior_positions(height, width, max_shift)
    neighbour = position + shifts[0].astype(np.int64) * width + shifts[1]
    # 0 … size-1 are pixels after the pass, size … 2·size-1 the same before it.
    source = np.arange(2 * size)
    source[:size] += size
    source[position] = np.where(neighbour > position, neighbour, neighbour + size)
    while (source[:size] < size).any():
        source[:size] = source[source[:size]]
    return source[:size] - size
