"""What a perturbation is: a sequence of frames of one image that hardly differ, and which frame each is compared with."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from efficient360.methods.corruptions.corruption import Pixels

Compared = Literal["first", "before"]
"""With the first frame, which is the clean image, or with the frame before."""


class Effect(ABC):
    """What happens to an image from frame to frame. Frozen dataclasses: their fields are the strength."""

    @abstractmethod
    def frames(self, pixels: Pixels, steps: range, rng: np.random.Generator) -> Pixels:
        """The frames of the given numbers, counted from 0.

        Args:
            pixels: The clean image, uint8 ``(3, H, W)``; it stays as it is.
            steps: Numbers of ``T`` frames in a row.
            rng: The example's own randomness.

        Returns:
            uint8 ``(T, 3, H, W)``.
        """


@final
@dataclass(frozen=True)
class Perturbation:
    """An effect, for how many frames, and what each frame's answer is compared with.

    Args:
        effect: What happens.
        length: Frames of the whole sequence.
        compared: Noise has no order, so that its frames are compared with the first; all others follow one from the other.
    """

    effect: Effect
    length: int
    compared: Compared = "before"

    def steps(self, frames: int | None = None) -> range:
        """Numbers of the frames that are shown: all, or at most ``frames`` of them.

        A step stays as small as it is: fewer frames are the middle of the sequence, and of noise the first ones, the clean image among them.
        """
        shown = self.length if frames is None else min(frames, self.length)
        start = 0 if self.compared == "first" else (self.length - shown) // 2
        return range(start, start + shown)

    def flips(self, answers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each frame's answer is another than that of the frame it is compared with (Hendrycks & Dietterich 2019, section 4.2).

        Args:
            answers: Predicted classes of the frames, ``(B, T)``.

        Returns:
            ``(B, T - 1)``: for every frame but the first. Its mean over a row is an image's flip probability.
        """
        others = answers[:, :1] if self.compared == "first" else answers[:, :-1]
        flipped: NDArray[np.bool_] = answers[:, 1:] != others
        return flipped
