"""Perturbations by movement: the image shifted, turned, scaled, tilted, or looked at ever closer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.methods.corruptions.corruption import Pixels, quantised
from efficient360.methods.corruptions.perturbation import Effect
from efficient360.methods.corruptions.warping import Map, framed, scaling, shifted, warped


@final
@dataclass(frozen=True)
class Translated(Effect):
    """Shifted to the right, a pixel a frame.

    Args:
        first: Pixels of the first frame; below 0 to the left.
        margin: Pixels on every side that are mirrored before black comes in.
    """

    first: int
    margin: int

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        wide = framed(pixels, self.margin)
        return np.stack([shifted(wide, self.first + step, self.margin) for step in steps])


@final
@dataclass(frozen=True)
class Warped(Effect):
    """Turned, scaled or tilted, by as much more each frame.

    Args:
        geometry: The map of an amount and the image's height and width: :func:`rotation`, :func:`scaling` or :func:`tilt`.
        first: Amount of the first frame: degrees, or a factor.
        step: What each frame adds.
        margin: Pixels on every side that are mirrored before black comes in.
        draw: How the map is followed: :func:`warped` or :func:`fading`.
    """

    geometry: Callable[[float, int, int], Map]
    first: float
    step: float
    margin: int
    draw: Callable[[Pixels, Map, int], Pixels] = warped

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        wide = framed(pixels, self.margin)
        return np.stack([self.draw(wide, self.geometry(self.first + step * self.step, *wide.shape[1:]), self.margin) for step in steps])


@final
@dataclass(frozen=True)
class Approached(Effect):
    """Zoom blur: frame after frame is the mean of one closer look more, the clean image being the first.

    Args:
        step: What each look adds to the magnification.
    """

    step: float

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        """Looks are taken from the first on, whichever frames are shown."""
        _, height, width = pixels.shape
        total, made = pixels.astype(np.float32), []
        for step in range(steps.stop):
            if step > 0:
                total += warped(pixels, scaling(1 + self.step * step, height, width), 0)
            if step in steps:
                made.append(quantised(total / (step + 1)))
        return np.stack(made)
