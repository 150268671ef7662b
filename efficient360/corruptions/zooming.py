"""Looking closer: the middle of an image magnified to its full size."""

import math

import numpy as np
import torch

from efficient360.corruptions.corruption import Levels


def window(size: int, factor: float) -> int:
    """How many of ``size`` pixels are left in view when looking ``factor`` times closer."""
    return math.ceil(size / factor)


def zoomed(levels: Levels, factor: float) -> Levels:
    """The middle of ``(C, H, W)`` magnified by ``factor``, at least 1, to ``(C, H, W)``."""
    _, height, width = levels.shape
    rows, columns = window(height, factor), window(width, factor)
    top, left = (height - rows) // 2, (width - columns) // 2
    return magnified(levels[:, top : top + rows, left : left + columns], factor, height, width)


def magnified(part: Levels, factor: float, height: int, width: int) -> Levels:
    """A part ``(C, h, w)`` magnified by ``factor`` and trimmed about its middle to ``(C, height, width)``.

    Linear interpolation between pixels, the outermost pixels staying outermost: as ``scipy.ndimage.zoom`` of order 1.
    """
    rows, columns = round(part.shape[1] * factor), round(part.shape[2] * factor)
    source = torch.from_numpy(np.ascontiguousarray(part))[None]
    whole = torch.nn.functional.interpolate(source, size=(rows, columns), mode="bilinear", align_corners=True)[0]
    top, left = (rows - height) // 2, (columns - width) // 2
    trimmed: Levels = whole[:, top : top + height, left : left + width].numpy()
    return trimmed
