"""Weather: snow, fog and brightness. Frost and spatter have files of their own."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from efficient360.methods.corruptions.corruption import ImageCorruption, Levels, Pixels, quantise
from efficient360.methods.corruptions.filters import crop_size, magnify, motion_filter

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@final
@dataclass(frozen=True)
class Snow(ImageCorruption):
    """Flakes streaked by wind, over a whitened image.

    Args:
        mean: Of the Gaussian noise that flakes are thresholded from.
        spread: Its standard deviation.
        size: Magnification of the noise.
        threshold: What the noise must reach to be a flake.
        radius: Length of a flake's streak, as of motion blur.
        fading: How fast the streak fades, in pixels.
        kept: Weight of the image that is not whitened.
    """

    mean: float
    spread: float
    size: float
    threshold: float
    radius: int
    fading: float
    kept: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        flakes = self.flakes(pixels.shape[1], pixels.shape[2], rng)
        snowy = self.whitened(pixels)
        snowy += self.streaks(flakes, rng.uniform(-135, -45))
        return quantise(snowy)

    def whitened(self, pixels: Pixels) -> Levels:
        """The whitened image, ``(3, H, W)``."""
        levels = pixels.astype(np.float32)
        white = np.tensordot(_LUMA, levels, 1)
        white *= 1.5
        white += 127.5
        whitened: Levels = np.maximum(levels, white)
        whitened *= 1 - self.kept
        levels *= self.kept
        whitened += levels
        return whitened

    def flakes(self, height: int, width: int, rng: np.random.Generator) -> Levels:
        """Flakes before the motion blur, ``(1, H, W)``."""
        noise = rng.standard_normal((1, 1, crop_size(height, self.size), crop_size(width, self.size)), dtype=np.float32)
        noise *= self.spread
        noise += self.mean
        flakes: Levels = magnify(torch.from_numpy(noise), self.size, height, width)[0].numpy()
        return np.where(flakes < self.threshold, np.float32(0), np.minimum(flakes, 1)) * np.float32(255)

    def streaks(self, flakes: Levels, angle: float) -> Levels:
        """Flakes blurred at an angle below the horizontal, plus the same rotated by 180°: what is added to an image, ``(1, H, W)``."""
        streaks: Levels = np.rint(motion_filter(flakes, self.radius, self.fading, angle))
        return streaks + streaks[:, ::-1, ::-1]


@final
@dataclass(frozen=True)
class Fog(ImageCorruption):
    """A plasma fractal added to the image, which is then darkened so that its largest value stays.

    Args:
        density: Brightness of the thickest fog, white being 1.
        decay: How much smoother fine detail is; see :func:`plasma_fractal`.
    """

    density: float
    decay: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        _, height, width = pixels.shape
        fog = plasma_fractal(1 << (max(height, width) - 1).bit_length(), self.decay, rng)[:height, :width]
        largest = float(pixels.max()) / 255
        foggy = pixels + fog * np.float32(255 * self.density)
        foggy *= largest / (largest + self.density)
        return quantise(foggy)


def plasma_fractal(size: int, decay: float, rng: np.random.Generator) -> Levels:
    """Height map by the diamond-square algorithm (Fournier, Fussell & Carpenter 1982) on a torus, float32 ``(size, size)`` from 0 to 1.

    Args:
        size: A power of two.
        decay: How much weaker each finer level is; the amplitude falls with its square, as in the reference.
        rng: Source of randomness.
    """
    heights = np.zeros((1, 1), dtype=np.float32)
    amplitude = 1.0
    while len(heights) < size:
        n = len(heights)
        noise = rng.random((3, n, n), dtype=np.float32)
        noise *= 2 * amplitude
        noise -= amplitude
        pairs = heights + _next(heights, 0)
        centres = (pairs + _next(pairs, 1)) / 4 + noise[0]
        finer = np.empty((2 * n, 2 * n), dtype=np.float32)
        finer[::2, ::2], finer[1::2, 1::2] = heights, centres
        finer[::2, 1::2] = (centres + _previous(centres, 0) + heights + _next(heights, 1)) / 4 + noise[1]
        finer[1::2, ::2] = (centres + _previous(centres, 1) + heights + _next(heights, 0)) / 4 + noise[2]
        heights = finer
        amplitude /= decay**2
    heights -= heights.min()
    heights /= heights.max()
    return heights


def _next(grid: Levels, axis: int) -> Levels:
    return np.concatenate([grid[1:], grid[:1]]) if axis == 0 else np.concatenate([grid[:, 1:], grid[:, :1]], axis=1)


def _previous(grid: Levels, axis: int) -> Levels:
    return np.concatenate([grid[-1:], grid[:-1]]) if axis == 0 else np.concatenate([grid[:, -1:], grid[:, :-1]], axis=1)


@final
@dataclass(frozen=True)
class Brightness(ImageCorruption):
    """Brighter: a higher value (V) in HSV, hue and saturation unchanged.

    Args:
        added: To the value, white being 1; below 0 is darker.
    """

    added: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        # V is the largest channel. With hue and saturation unchanged, all three channels scale with it.
        value, brighter = pixels.max(axis=0), np.minimum(np.arange(256) + 255 * self.added, 255)
        scale = np.divide(brighter, np.arange(256), out=np.zeros(256), where=np.arange(256) > 0).astype(np.float32)
        levels = pixels * scale[value]
        levels[:, value == 0] = brighter[0]  # black has no hue: it turns grey
        return quantise(levels)
