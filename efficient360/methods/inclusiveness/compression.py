"""Strong JPEG compression: little storage, or a thin link."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from efficient360.methods.inclusiveness.condition import CaptureCondition


@final
@dataclass(frozen=True)
class StrongJpeg(CaptureCondition):
    """Stored as a JPEG of low quality, chroma at half resolution.

    Args:
        quality: Of libjpeg, 1 to 95.
    """

    name: ClassVar[str] = "strong_jpeg"
    title: ClassVar[str] = "strong JPEG"
    source: ClassVar[str] = "ITU-T T.81 with libjpeg's quality scale; within the range of Dodge & Karam 2016"
    quality: int = 10

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        pixels = (images.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        stored = np.stack([self._stored(image) for image in pixels]).transpose(0, 3, 1, 2)
        return (torch.from_numpy(np.ascontiguousarray(stored)).to(images.dtype) / 255).to(images.device)

    def _stored(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="JPEG", quality=self.quality, subsampling="4:2:0")
        return np.asarray(Image.open(file))
