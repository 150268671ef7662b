"""Too little light: a dark picture, or one amplified with its noise. Both on the light that the pixels stand for, then back to pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.inclusiveness.condition import GAMMA, CaptureCondition, eight_bits

SOURCE = "Poissonian–Gaussian noise of sensors: Foi, Trimeche, Katkovnik & Egiazarian 2008"


def _exposed(images: Tensor, generators: Sequence[np.random.Generator], electrons: float, read: float, gain: float) -> Tensor:
    """Images whose white gathers ``electrons`` a pixel and channel, read with a deviation of ``read`` electrons, shown ``gain`` times as bright as they are."""
    light = images.detach().cpu().double().clamp(0, 1).pow(GAMMA).numpy() * electrons
    gathered = np.stack([one.poisson(image) + one.normal(0, read, image.shape) for one, image in zip(generators, light, strict=True)])
    shown = torch.from_numpy(gathered / electrons * gain).clamp(0, 1).pow(1 / GAMMA)
    return eight_bits(shown.to(images.device, images.dtype))


@final
@dataclass(frozen=True)
class LowLight(CaptureCondition):
    """An eighth of the light, not amplified: dark, and a little noisy.

    Args:
        share: Share of the light that is left.
        electrons: What a white pixel would gather in full light.
        read: Read noise in electrons.
    """

    name: ClassVar[str] = "low_light"
    title: ClassVar[str] = "low light"
    source: ClassVar[str] = SOURCE
    share: float = 1 / 8
    electrons: float = 1000.0
    read: float = 3.0

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        return _exposed(images, generators, self.electrons * self.share, self.read, self.share)


@final
@dataclass(frozen=True)
class SensorNoise(CaptureCondition):
    """A small sensor at high gain: as bright as it should be, with the noise of few electrons.

    Args:
        electrons: What a white pixel gathers.
        read: Read noise in electrons.
    """

    name: ClassVar[str] = "sensor_noise"
    title: ClassVar[str] = "sensor noise"
    source: ClassVar[str] = SOURCE
    electrons: float = 60.0
    read: float = 3.0

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        return _exposed(images, generators, self.electrons, self.read, 1.0)
