"""What can be said of an image from its pixels alone, to sort examples into groups where a data set names none.

Proxies for how a picture was taken, never for who is in it. All arithmetic is on whole numbers, so an image gets the same value in any batch.
"""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Luma = NDArray[np.int64]
Values = NDArray[np.float64]
LEVELS = 256


def luma(images: Tensor) -> Luma:
    """Luma 0 … 255 (ITU-R BT.601 weights) of images ``(B, 3, H, W)`` in [0, 1], int64 ``(B, H, W)``."""
    pixels = (images.detach().cpu() * 255).round().clamp(0, 255).to(torch.int64).numpy()
    grey: Luma = (299 * pixels[:, 0] + 587 * pixels[:, 1] + 114 * pixels[:, 2] + 500) // 1000
    return grey


def brightness(grey: Luma) -> Values:
    """Mean luma, ``(B,)`` in [0, 1]."""
    mean: Values = grey.mean(axis=(1, 2)) / (LEVELS - 1)
    return mean


def contrast(grey: Luma) -> Values:
    """Standard deviation of luma, ``(B,)`` in [0, ½] (RMS contrast, Peli 1990)."""
    pixels = grey[0].size
    spread = pixels * np.square(grey).sum(axis=(1, 2)) - np.square(grey.sum(axis=(1, 2)))
    deviation: Values = np.sqrt(spread) / pixels / (LEVELS - 1)
    return deviation


def object_scale(grey: Luma) -> Values:
    """Share of the pixels that stand out from the picture's border, ``(B,)`` in [0, 1]: how large the object is, on a plain background."""
    share: Values = standing_out(grey).mean(axis=(1, 2))
    return share


def stroke_width(grey: Luma) -> Values:
    """Mean width of what stands out from the border, as a share of the picture's shorter side, ``(B,)``; 0 where nothing does.

    Twice its area over its perimeter: a line of width ``w`` that is much longer than wide has about ``w``.
    """
    mask = np.pad(standing_out(grey), ((0, 0), (1, 1), (1, 1)))
    perimeter = (mask[:, 1:] != mask[:, :-1]).sum(axis=(1, 2)) + (mask[:, :, 1:] != mask[:, :, :-1]).sum(axis=(1, 2))
    width: Values = 2 * mask.sum(axis=(1, 2)) / np.maximum(perimeter, 1) / min(grey.shape[1:])
    return width


def standing_out(grey: Luma) -> NDArray[np.bool_]:
    """Pixels whose luma is far from the median of the border's, bool ``(B, H, W)``; what is far is found by Otsu's threshold (1979)."""
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, 1:-1, 0], grey[:, 1:-1, -1]], axis=1)
    middle = np.sort(border, axis=1)[:, border.shape[1] // 2]
    distance = np.abs(grey - middle[:, None, None])
    mask: NDArray[np.bool_] = distance > _otsu(distance)[:, None, None]
    return mask


def _otsu(values: Luma) -> NDArray[np.int64]:
    """The threshold of each image, ``(B,)``, that best parts its values 0 … 255 into two classes (largest variance between them)."""
    rows = np.arange(len(values))[:, None, None] * LEVELS
    histogram = np.bincount((rows + values).ravel(), minlength=len(values) * LEVELS).reshape(len(values), LEVELS)
    below = np.cumsum(histogram, axis=1).astype(np.float64)
    mass = np.cumsum(histogram * np.arange(LEVELS), axis=1).astype(np.float64)
    total, above = below[:, -1:], below[:, -1:] - below
    between = np.square(mass[:, -1:] * below / total - mass) / np.maximum(below * above, 1)
    threshold: NDArray[np.int64] = np.argmax(between, axis=1)
    return threshold


PROXIES: Final[Mapping[str, Callable[[Luma], Values]]] = {
    "brightness": brightness,
    "contrast": contrast,
    "object_scale": object_scale,
    "stroke_width": stroke_width,
}
"""What can be derived, by name."""
