"""Blur of lens and zoom: defocus, zoom, Gaussian."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft, ndimage

from efficient360.methods.corruptions.corruption import Corruption, Levels, Pixels, quantised
from efficient360.methods.corruptions.smoothing import smoothed
from efficient360.methods.corruptions.zooming import zoomed

_NOTHING = 1e-9


@final
@dataclass(frozen=True)
class GaussianBlur(Corruption):
    """A Gaussian blur.

    Args:
        sigma: Standard deviation in pixels.
    """

    sigma: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Filter with a Gaussian."""
        return quantised(smoothed(pixels.astype(np.float32), self.sigma))


@final
@dataclass(frozen=True)
class DefocusBlur(Corruption):
    """A disc for every point, as out of focus.

    Args:
        radius: Of the disc, in pixels.
        softness: Standard deviation of the Gaussian that softens the disc's rim, in pixels.
    """

    radius: float
    softness: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Filter with a disc of soft edge."""
        kernel = disc(self.radius, self.softness)
        reach = len(kernel) // 2
        padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach)), mode="reflect").astype(np.float32)
        shape = (fft.next_fast_len(padded.shape[1], real=True), fft.next_fast_len(padded.shape[2], real=True))
        spectrum = fft.rfft2(padded, shape)
        spectrum *= _spectrum(self.radius, self.softness, shape)
        blurred: Levels = fft.irfft2(spectrum, shape)
        _, height, width = pixels.shape
        return quantised(blurred[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width])


@final
@dataclass(frozen=True)
class ZoomBlur(Corruption):
    """The image and ever closer views of it laid over one another, as when moving fast towards the scene.

    Each view is rounded to 8 bits, which the mean over a dozen of them and more brings below a tenth of a level.

    Args:
        closest: The factor that the views stay below.
        step: From one view's factor to the next.
    """

    closest: float
    step: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The mean of the image and of its enlargements."""
        factors = np.arange(1, self.closest, self.step)
        # Channels lie side by side here: torch's interpolation of 8-bit images is fast that way.
        image = torch.from_numpy(pixels)[None].contiguous(memory_format=torch.channels_last)
        total = image.int()
        for factor in factors:
            total += zoomed(image, float(factor))
        mean: Levels = (total[0].contiguous().float() / (len(factors) + 1)).numpy()
        return quantised(mean)


@lru_cache(maxsize=32)
def disc(radius: float, softness: float) -> NDArray[np.float64]:
    """The reference's defocus kernel, odd and square, its outer zeros left out.

    A disc drawn on a grid just large enough for it, which the softening folds back at the grid's rim: so a kernel may sum to a percent
    more than 1, and the image gets as much brighter, as it does in ImageNet-C.
    """
    reach, half = (8, 1) if radius <= 8 else (int(radius), 2)
    place = np.arange(-reach, reach + 1)
    flat = (place**2 + place[:, None] ** 2 <= radius**2).astype(np.float64)
    taps = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * softness**2))
    soft = flat / flat.sum()
    for axis in (0, 1):
        soft = ndimage.correlate1d(soft, taps / taps.sum(), axis=axis, mode="mirror")
    soft[soft < _NOTHING] = 0
    used = int(np.abs(place[soft.any(axis=0)]).max())
    kernel: NDArray[np.float64] = soft[reach - used : reach + used + 1, reach - used : reach + used + 1]
    return kernel


@lru_cache(maxsize=32)
def _spectrum(radius: float, softness: float, shape: tuple[int, int]) -> NDArray[Any]:
    found: NDArray[Any] = fft.rfft2(disc(radius, softness).astype(np.float32), shape)
    return found
