"""The contract of a capture condition: images go in, the same scenes as poorer hardware would hand them over come out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from torch import Tensor

GAMMA = 2.2
"""Between pixel values and the light that made them, near enough to the sRGB curve."""


class CaptureCondition(ABC):
    """One way in which a camera, its storage or its link can be poor. Frozen dataclasses: their fields say how poor.

    Every image is treated on its own, with a generator of its own, and comes out in 8 bits: batch size and neighbours change nothing.
    """

    name: ClassVar[str]
    """Stable snake_case name."""
    title: ClassVar[str]
    """What it is called in print."""
    source: ClassVar[str]
    """The paper or standard behind it."""

    @abstractmethod
    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        """Images float32 ``(B, 3, H, W)`` in [0, 1] under this condition, of the same shape and range.

        Args:
            images: Clean images.
            generators: A source of randomness for each image, length ``B``.
        """


def eight_bits(images: Tensor) -> Tensor:
    """Images rounded to the 256 values that a file holds."""
    return (images.clamp(0, 1) * 255).round() / 255
