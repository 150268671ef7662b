"""Looking closer: the middle of an image magnified to its full size."""

import math

import torch
from torch import Tensor


def window(size: int, factor: float) -> int:
    """How many of ``size`` pixels are left in view when looking ``factor`` times closer."""
    return math.ceil(size / factor)


def zoomed(images: Tensor, factor: float) -> Tensor:
    """The middle of images ``(N, C, H, W)`` magnified by ``factor``, at least 1, to the same size."""
    height, width = images.shape[2:]
    rows, columns = window(height, factor), window(width, factor)
    top, left = (height - rows) // 2, (width - columns) // 2
    return magnified(images[:, :, top : top + rows, left : left + columns], factor, height, width)


def magnified(parts: Tensor, factor: float, height: int, width: int) -> Tensor:
    """Parts ``(N, C, h, w)``, of levels or 8-bit values, magnified by ``factor`` and trimmed about their middle to ``(N, C, height, width)``.

    Linear interpolation between pixels, the outermost pixels staying outermost: as ``scipy.ndimage.zoom`` of order 1. 8-bit values are rounded.
    """
    rows, columns = round(parts.shape[2] * factor), round(parts.shape[3] * factor)
    whole: Tensor = torch.nn.functional.interpolate(parts, size=(rows, columns), mode="bilinear", align_corners=True)
    top, left = (rows - height) // 2, (columns - width) // 2
    return whole[:, :, top : top + height, left : left + width]
