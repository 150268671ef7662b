"""What a corruption is: 8-bit pixels in, 8-bit pixels out, its randomness from a generator of the example's own."""

import hashlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]
"""An RGB image, uint8 ``(3, H, W)``."""
Levels = NDArray[np.float32]
"""Brightness before it is made 8-bit again: float32 ``(…, H, W)`` on the scale 0 … 255."""

_GUARD = np.float32(2**-10)


class Corruption(ABC):
    """One corruption at one strength. Frozen dataclasses: their fields are the strength."""

    @abstractmethod
    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The corrupted image, uint8 ``(3, H, W)``; ``pixels`` stays as it is."""


def eight_bit(images: Tensor) -> Pixels:
    """Images in [0, 1] rounded to 8 bits, uint8 of the same shape."""
    return np.ascontiguousarray((images.detach().cpu() * 255).round().clamp(0, 255).byte().numpy())


def quantised(levels: NDArray[Any]) -> Pixels:
    """Levels of any shape as 8-bit values: clipped, then truncated as the reference truncates.

    A level within a thousandth below a whole number counts as that number: otherwise rounding in the last bit of a float would take
    a whole level from every pixel that a corruption leaves as it was.
    """
    guarded = np.add(levels, _GUARD, dtype=np.float32)
    np.clip(guarded, 0, 255, out=guarded)
    made: Pixels = guarded.astype(np.uint8)
    return made


def generator(seed: int, example: str, corruption: str, severity: int) -> np.random.Generator:
    """The randomness of one example under one corruption and severity: the same whatever stands beside it."""
    digest = hashlib.sha256(f"{seed}\0{corruption}\0{severity}\0{example}".encode()).digest()
    return np.random.Generator(np.random.SFC64(np.frombuffer(digest, dtype="<u4")))
