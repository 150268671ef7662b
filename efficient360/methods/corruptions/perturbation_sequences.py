"""Perturbation sequences as of ImageNet-P: frames of one image that hardly differ, and which frame each is compared with."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from efficient360.methods.corruptions.corruption import ImageCorruption, Pixels, quantise
from efficient360.methods.corruptions.filters import motion_filter
from efficient360.methods.corruptions.warping import Homography, pad_reflect, scaling, translate, warp
from efficient360.methods.corruptions.weather import Brightness, Snow

ComparedWith = Literal["first", "previous"]
"""The first frame, which is the clean image, or the previous frame."""


class SequenceEffect(ABC):
    """How an image changes from frame to frame. Subclasses are frozen dataclasses whose fields are the strength."""

    @abstractmethod
    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        """The frames of the given numbers, counted from 0.

        Args:
            pixels: The clean image, uint8 ``(3, H, W)``; it is not modified.
            steps: Numbers of ``T`` consecutive frames.
            rng: The example's random generator.

        Returns:
            uint8 ``(T, 3, H, W)``.
        """


@final
@dataclass(frozen=True)
class Perturbation:
    """An effect, its number of frames, and what each frame's prediction is compared with.

    Args:
        effect: How the image changes.
        length: Frames of the full sequence.
        compared_with: Noise has no order, so that its frames are compared with the first; all others with the previous one.
    """

    effect: SequenceEffect
    length: int
    compared_with: ComparedWith = "previous"

    def steps(self, max_frames: int | None = None) -> range:
        """Numbers of the frames shown: all, or at most ``max_frames`` of them.

        The step between frames stays the same: fewer frames are the middle of the sequence, and for noise the first ones, the clean image included.
        """
        shown = self.length if max_frames is None else min(max_frames, self.length)
        start = 0 if self.compared_with == "first" else (self.length - shown) // 2
        return range(start, start + shown)

    def flips(self, predictions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each frame's prediction differs from that of the frame it is compared with (Hendrycks & Dietterich 2019, section 4.2).

        Args:
            predictions: Predicted classes of the frames, ``(B, T)``.

        Returns:
            ``(B, T - 1)``: for every frame but the first. Its mean over a row is an image's flip probability.
        """
        compared = predictions[:, :1] if self.compared_with == "first" else predictions[:, :-1]
        flips: NDArray[np.bool_] = predictions[:, 1:] != compared
        return flips


@final
@dataclass(frozen=True)
class NoiseSequence(SequenceEffect):
    """The clean image, then noise drawn anew for each frame.

    Args:
        noise: The noise.
    """

    noise: ImageCorruption

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        """``steps`` must begin at 0: each draw continues the previous one."""
        return np.stack([self.noise.apply(pixels, rng) if step > 0 else pixels for step in steps])


@final
@dataclass(frozen=True)
class MotionBlurSequence(SequenceEffect):
    """Motion blur whose direction turns.

    Args:
        radius: As of :class:`~efficient360.methods.corruptions.blur.MotionBlur`.
        sigma: Likewise.
        first: Degrees below the horizontal in the first frame.
        step: Degrees that each frame adds.
    """

    radius: int
    sigma: float
    first: float
    step: float

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        levels = pixels.astype(np.float32)
        return np.stack([quantise(motion_filter(levels, self.radius, self.sigma, self.first + step * self.step)) for step in steps])


@final
@dataclass(frozen=True)
class SnowSequence(SequenceEffect):
    """The same flakes throughout, in a wind that turns.

    Args:
        snow: The snow.
        first: Degrees below the horizontal at which flakes fall in the first frame.
        step: Degrees that each frame adds.
    """

    snow: Snow
    first: float
    step: float

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        flakes, whitened = self.snow.flakes(pixels.shape[1], pixels.shape[2], rng), self.snow.whitened(pixels)
        return np.stack([quantise(whitened + self.snow.streaks(flakes, self.first + step * self.step)) for step in steps])


@final
@dataclass(frozen=True)
class BrightnessSequence(SequenceEffect):
    """From darker to brighter.

    Args:
        first: Added to the value of HSV in the first frame, white being 1; below 0 is darker.
        step: What each frame adds.
    """

    first: float
    step: float

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        return np.stack([Brightness(self.first + step * self.step).apply(pixels, rng) for step in steps])


@final
@dataclass(frozen=True)
class TranslationSequence(SequenceEffect):
    """Translated to the right, a pixel per frame.

    Args:
        first: Pixels in the first frame; below 0 to the left.
        margin: Pixels on every side that are mirrored before black comes in.
    """

    first: int
    margin: int

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        padded = pad_reflect(pixels, self.margin)
        return np.stack([translate(padded, self.first + step, self.margin) for step in steps])


@final
@dataclass(frozen=True)
class WarpSequence(SequenceEffect):
    """Rotated, scaled or tilted, by as much more each frame.

    Args:
        geometry: The homography for an amount and the image's height and width: :func:`rotation`, :func:`scaling` or :func:`tilt`.
        first: Amount in the first frame: degrees, or a factor.
        step: What each frame adds.
        margin: Pixels on every side that are mirrored before black comes in.
        resample: How the homography is applied: :func:`warp` or :func:`warp_fading`.
    """

    geometry: Callable[[float, int, int], Homography]
    first: float
    step: float
    margin: int
    resample: Callable[[Pixels, Homography, int], Pixels] = warp

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        padded = pad_reflect(pixels, self.margin)
        return np.stack([self.resample(padded, self.geometry(self.first + step * self.step, *padded.shape[1:]), self.margin) for step in steps])


@final
@dataclass(frozen=True)
class ZoomBlurSequence(SequenceEffect):
    """Zoom blur: each frame is the mean over one more magnification, starting with the clean image.

    Args:
        step: What each frame adds to the magnification.
    """

    step: float

    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        """Magnifications accumulate from frame 0, whichever frames are shown."""
        _, height, width = pixels.shape
        total, frames = pixels.astype(np.float32), []
        for step in range(steps.stop):
            if step > 0:
                total += warp(pixels, scaling(1 + self.step * step, height, width), 0)
            if step in steps:
                frames.append(quantise(total / (step + 1)))
        return np.stack(frames)
