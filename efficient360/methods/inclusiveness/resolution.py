"""Low resolution: fewer pixels, enlarged again to what the model takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.inclusiveness.condition import CaptureCondition, eight_bits

SOURCE = "low-resolution recognition: Torralba, Fergus & Freeman 2008; box sampling as on a sensor, bilinear enlargement"


def _coarse(images: Tensor, factor: int) -> Tensor:
    height, width = images.shape[2:]
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = eight_bits(torch.nn.functional.interpolate(images, size, mode="area"))
    return eight_bits(torch.nn.functional.interpolate(small, (height, width), mode="bilinear", align_corners=False))


@final
@dataclass(frozen=True)
class HalfResolution(CaptureCondition):
    """Half as many pixels each way as the model takes."""

    name: ClassVar[str] = "half_resolution"
    title: ClassVar[str] = "half resolution"
    source: ClassVar[str] = SOURCE

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        return _coarse(images, 2)


@final
@dataclass(frozen=True)
class QuarterResolution(CaptureCondition):
    """A quarter as many pixels each way as the model takes."""

    name: ClassVar[str] = "quarter_resolution"
    title: ClassVar[str] = "quarter resolution"
    source: ClassVar[str] = SOURCE

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        return _coarse(images, 4)
