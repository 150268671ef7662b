"""Perturbations that leave everything in its place: noise, turning motion blur, snow whose wind turns, brightness."""

from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.methods.corruptions.corruption import Corruption, Pixels, quantised
from efficient360.methods.corruptions.digital import Brightness
from efficient360.methods.corruptions.motion import streaked
from efficient360.methods.corruptions.perturbation import Effect
from efficient360.methods.corruptions.weather import Snow


@final
@dataclass(frozen=True)
class Noisy(Effect):
    """The clean image, then noise drawn anew each frame.

    Args:
        noise: Of which strength.
    """

    noise: Corruption

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        """The numbers begin at 0: each draw goes on from the one before."""
        return np.stack([self.noise.apply(pixels, rng) if step > 0 else pixels for step in steps])


@final
@dataclass(frozen=True)
class TurningBlur(Effect):
    """Motion blur whose direction turns.

    Args:
        radius: As of :class:`~efficient360.methods.corruptions.motion.MotionBlur`.
        sigma: Likewise.
        first: Degrees below the horizontal of the first frame.
        step: Degrees that each frame adds.
    """

    radius: int
    sigma: float
    first: float
    step: float

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        levels = pixels.astype(np.float32)
        return np.stack([quantised(streaked(levels, self.radius, self.sigma, self.first + step * self.step)) for step in steps])


@final
@dataclass(frozen=True)
class Snowfall(Effect):
    """The same flakes throughout, in a wind that turns.

    Args:
        snow: Of which strength.
        first: Degrees below the horizontal that flakes fall at in the first frame.
        step: Degrees that each frame adds.
    """

    snow: Snow
    first: float
    step: float

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        flakes, pale = self.snow.flakes(pixels.shape[1], pixels.shape[2], rng), self.snow.paled(pixels)
        return np.stack([quantised(pale + self.snow.falling(flakes, self.first + step * self.step)) for step in steps])


@final
@dataclass(frozen=True)
class Brightening(Effect):
    """From darker to brighter.

    Args:
        first: Added to the value in hue, saturation and value in the first frame, white being 1; below 0 is darker.
        step: What each frame adds.
    """

    first: float
    step: float

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        return np.stack([Brightness(self.first + step * self.step).apply(pixels, rng) for step in steps])
