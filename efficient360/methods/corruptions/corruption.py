"""The interface of a corruption: 8-bit pixels in, 8-bit pixels out, its randomness from a generator seeded by example."""

import hashlib
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]
"""An RGB image, uint8 ``(3, H, W)``."""
Levels = NDArray[np.float32]
"""Intensities before they are rounded to 8 bits: float32 ``(…, H, W)`` on the scale 0 … 255."""

_TOLERANCE = np.float32(2**-10)


class ImageCorruption(ABC):
    """One corruption at one severity. Subclasses are frozen dataclasses whose fields are the severity's constants."""

    @abstractmethod
    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The corrupted image, uint8 ``(3, H, W)``; ``pixels`` is not modified."""


def to_uint8(images: Tensor) -> Pixels:
    """Images in [0, 1] rounded to 8 bits, uint8 of the same shape."""
    return np.ascontiguousarray((images.detach().cpu() * 255).round().clamp(0, 255).byte().numpy())


def quantise(levels: NDArray[Any]) -> Pixels:
    """Intensities of any shape as 8-bit values: clipped, then truncated as the reference implementation truncates.

    A level within a thousandth below a whole number counts as that number: otherwise float rounding in the last bit would take
    a whole level from every pixel that a corruption leaves unchanged.
    """
    shifted = np.add(levels, _TOLERANCE, dtype=np.float32)
    np.clip(shifted, 0, 255, out=shifted)
    pixels: Pixels = shifted.astype(np.uint8)
    return pixels


def example_generator(seed: int, example: str, corruption: str, severity: int) -> np.random.Generator:
    """The random generator of one example under one corruption and severity; it does not depend on the batch."""
    digest = hashlib.sha256(f"{seed}\0{corruption}\0{severity}\0{example}".encode()).digest()
    return np.random.Generator(np.random.SFC64(np.frombuffer(digest, dtype="<u4")))
