"""Training images as they are shown: flipped and shifted, each step the same whenever it is made."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

SHIFT: Final = 8
"""Images are shifted by up to an eighth of their side."""


def batch_of(images: Tensor, places: Sequence[int]) -> Tensor:
    """Some of the images, float32 in [0, 1]."""
    batch = images[list(places)]
    return batch.float() / 255 if batch.dtype == torch.uint8 else batch.float()


def augmented(images: Tensor, seed: int, step: int) -> Tensor:
    """Half of the images mirrored, each shifted by whole pixels, with its border mirrored.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        seed: With ``step``, all that the augmentation depends on.
        step: The training step.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    count, _, height, width = images.shape
    down, right = max(1, height // SHIFT), max(1, width // SHIFT)
    mirrored = torch.rand(count, generator=generator) < 0.5
    rows = torch.randint(0, 2 * down + 1, (count,), generator=generator)
    columns = torch.randint(0, 2 * right + 1, (count,), generator=generator)
    padded = functional.pad(images, (right, right, down, down), mode="reflect")
    shifted = torch.stack([image[:, row : row + height, column : column + width] for image, row, column in zip(padded, rows, columns, strict=True)])
    return torch.where(mirrored[:, None, None, None], shifted.flip(-1), shifted)


def resized(images: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Images of a size ``(3, H, W)``: bicubic, with antialiasing, clamped to [0, 1]; themselves where they have it."""
    if images.shape[-2:] == size[1:]:
        return images
    return functional.interpolate(images, size[1:], mode="bicubic", antialias=True).clamp(0, 1)
