"""Motion blur: a long exposure in an unsteady hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.methods.inclusiveness.condition import CaptureCondition, eight_bits

STEPS = 8
"""Points a pixel of the path: enough that the path has no gaps."""


@final
@dataclass(frozen=True)
class MotionBlur(CaptureCondition):
    """The picture smeared evenly along a straight path in a random direction.

    Args:
        length: Length of the path as a share of the picture's shorter side.
    """

    name: ClassVar[str] = "motion_blur"
    title: ClassVar[str] = "motion blur"
    source: ClassVar[str] = "motion blur of Hendrycks & Dietterich 2019, with an even path"
    length: float = 1 / 8

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        """A straight smear in a direction of each image's own."""
        path = self.length * min(images.shape[2:])
        kernels = np.stack([kernel(path, float(one.uniform(0, math.pi))) for one in generators])
        count, channels, height, width = images.shape
        reach = kernels.shape[-1] // 2
        padded = torch.nn.functional.pad(images, (reach, reach, reach, reach), mode="replicate").reshape(1, count * channels, height + 2 * reach, -1)
        weights = torch.from_numpy(kernels).to(images.device, images.dtype)[:, None].repeat_interleave(channels, dim=0)
        blurred = torch.nn.functional.conv2d(padded, weights, groups=count * channels)
        return eight_bits(blurred.reshape(count, channels, height, width))


def kernel(path: float, angle: float) -> NDArray[np.float64]:
    """Weights ``(k, k)``, ``k`` odd, of a straight path of ``path`` pixels through the middle at ``angle`` radians; they sum to 1.

    Points along the path are shared out bilinearly between the pixels around them.
    """
    reach = math.ceil(path / 2) + 1
    weights = np.zeros((2 * reach + 1, 2 * reach + 1))
    along = np.linspace(-path / 2, path / 2, max(2, round(STEPS * path)) + 1)
    x, y = along * math.cos(angle) + reach, along * math.sin(angle) + reach
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for right in (0, 1):
        for down in (0, 1):
            share = np.abs(1 - right - (x - left)) * np.abs(1 - down - (y - top))
            np.add.at(weights, (top + down, left + right), share)
    evened: NDArray[np.float64] = weights / weights.sum()
    return evened
