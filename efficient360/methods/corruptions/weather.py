"""Weather: snow and fog. Frost, which needs photographs, has a file of its own."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from efficient360.methods.corruptions.corruption import Corruption, Levels, Pixels, quantised
from efficient360.methods.corruptions.motion import streaked
from efficient360.methods.corruptions.plasma import plasma
from efficient360.methods.corruptions.zooming import magnified, window

_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@final
@dataclass(frozen=True)
class Snow(Corruption):
    """Flakes blown past, over an image that turns pale.

    Args:
        mean: Of the noise that flakes are cut from.
        spread: Its standard deviation.
        size: How far the noise is magnified.
        threshold: What the noise must reach to be a flake.
        radius: Length of a flake's streak, as of motion blur.
        fading: How fast the streak fades, in pixels.
        kept: Share of the image that does not turn pale.
    """

    mean: float
    spread: float
    size: float
    threshold: float
    radius: int
    fading: float
    kept: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Whiten the image and let flakes fall on it."""
        flakes = self.flakes(pixels.shape[1], pixels.shape[2], rng)
        snowy = self.paled(pixels)
        snowy += self.falling(flakes, rng.uniform(-135, -45))
        return quantised(snowy)

    def paled(self, pixels: Pixels) -> Levels:
        """The image turned pale, ``(3, H, W)``."""
        levels = pixels.astype(np.float32)
        pale = np.tensordot(_GREY, levels, 1)
        pale *= 1.5
        pale += 127.5
        snowy: Levels = np.maximum(levels, pale)
        snowy *= 1 - self.kept
        levels *= self.kept
        snowy += levels
        return snowy

    def flakes(self, height: int, width: int, rng: np.random.Generator) -> Levels:
        """Flakes before any wind, ``(1, H, W)``."""
        noise = rng.standard_normal((1, 1, window(height, self.size), window(width, self.size)), dtype=np.float32)
        noise *= self.spread
        noise += self.mean
        flakes: Levels = magnified(torch.from_numpy(noise), self.size, height, width)[0].numpy()
        return np.where(flakes < self.threshold, np.float32(0), np.minimum(flakes, 1)) * np.float32(255)

    def falling(self, flakes: Levels, angle: float) -> Levels:
        """Flakes drawn out at an angle below the horizontal, and the same upside down: what they add to an image, ``(1, H, W)``."""
        streaks: Levels = np.rint(streaked(flakes, self.radius, self.fading, angle))
        return streaks + streaks[:, ::-1, ::-1]


@final
@dataclass(frozen=True)
class Fog(Corruption):
    """Clouds of fog, and the image darkened so that its brightest value stays.

    Args:
        density: Brightness of the thickest fog, white being 1.
        decay: How much smoother fine detail is; see :func:`plasma`.
    """

    density: float
    decay: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Lay clouds over it, as bright as its brightest pixel allows."""
        _, height, width = pixels.shape
        clouds = plasma(1 << (max(height, width) - 1).bit_length(), self.decay, rng)[:height, :width]
        brightest = float(pixels.max()) / 255
        foggy = pixels + clouds * np.float32(255 * self.density)
        foggy *= brightest / (brightest + self.density)
        return quantised(foggy)
