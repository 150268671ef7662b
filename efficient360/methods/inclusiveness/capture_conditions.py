"""Capture conditions of low-end hardware: low resolution, low light, sensor noise, motion blur, strong JPEG compression."""

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

GAMMA = 2.2
"""Between pixel values and light intensity, an approximation of the sRGB curve."""
SAMPLES_PER_PIXEL = 8
"""Points per pixel of a motion path: enough that the path has no gaps."""


class CaptureCondition(ABC):
    """One limitation of a camera, its storage or its link. Subclasses are frozen dataclasses whose fields are its strength.

    Every image is treated independently, with a random generator of its own, and rounded to 8 bits: batch size and neighbours change nothing.
    """

    name: ClassVar[str]
    """Stable snake_case name."""
    title: ClassVar[str]
    """Display title."""
    source: ClassVar[str]
    """The paper or standard behind it."""

    @abstractmethod
    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        """Images float32 ``(B, 3, H, W)`` in [0, 1] under this condition, of the same shape and range.

        Args:
            images: Clean images.
            generators: A source of randomness for each image, length ``B``.
        """


def round_to_8_bits(images: Tensor) -> Tensor:
    """Images in [0, 1] clipped and rounded to multiples of 1/255."""
    return (images.clamp(0, 1) * 255).round() / 255


_RESOLUTION_SOURCE = "low-resolution recognition: Torralba, Fergus & Freeman 2008; box sampling as on a sensor, bilinear enlargement"


def _downsampled(images: Tensor, factor: int) -> Tensor:
    height, width = images.shape[2:]
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    small = round_to_8_bits(torch.nn.functional.interpolate(images, size, mode="area"))
    return round_to_8_bits(torch.nn.functional.interpolate(small, (height, width), mode="bilinear", align_corners=False))


@final
@dataclass(frozen=True)
class HalfResolution(CaptureCondition):
    """Half the model's input resolution along each axis, enlarged again."""

    name: ClassVar[str] = "half_resolution"
    title: ClassVar[str] = "half resolution"
    source: ClassVar[str] = _RESOLUTION_SOURCE

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        return _downsampled(images, 2)


@final
@dataclass(frozen=True)
class QuarterResolution(CaptureCondition):
    """A quarter of the model's input resolution along each axis, enlarged again."""

    name: ClassVar[str] = "quarter_resolution"
    title: ClassVar[str] = "quarter resolution"
    source: ClassVar[str] = _RESOLUTION_SOURCE

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        return _downsampled(images, 4)


_SENSOR_SOURCE = "Poissonian–Gaussian noise of sensors: Foi, Trimeche, Katkovnik & Egiazarian 2008"


def _expose(images: Tensor, generators: Sequence[np.random.Generator], electrons: float, read_noise: float, gain: float) -> Tensor:
    """Images taken by a sensor on which white gathers ``electrons`` per pixel and channel.

    Args:
        images: Clean images; Poisson noise applies to the linear light that their pixels represent.
        generators: One for each image.
        electrons: Gathered by a white pixel.
        read_noise: Standard deviation in electrons.
        gain: Brightness of the result relative to the clean image, in linear light.
    """
    expected = images.detach().cpu().double().clamp(0, 1).pow(GAMMA).numpy() * electrons
    gathered = np.stack([rng.poisson(image) + rng.normal(0, read_noise, image.shape) for rng, image in zip(generators, expected, strict=True)])
    developed = torch.from_numpy(gathered / electrons * gain).clamp(0, 1).pow(1 / GAMMA)
    return round_to_8_bits(developed.to(images.device, images.dtype))


@final
@dataclass(frozen=True)
class LowLight(CaptureCondition):
    """An eighth of the light, not amplified: dark, and slightly noisy.

    Args:
        share: Share of the light that is left.
        electrons: Gathered by a white pixel in full light.
        read_noise: Standard deviation in electrons.
    """

    name: ClassVar[str] = "low_light"
    title: ClassVar[str] = "low light"
    source: ClassVar[str] = _SENSOR_SOURCE
    share: float = 1 / 8
    electrons: float = 1000.0
    read_noise: float = 3.0

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        return _expose(images, generators, self.electrons * self.share, self.read_noise, self.share)


@final
@dataclass(frozen=True)
class SensorNoise(CaptureCondition):
    """A small sensor at high gain: correct brightness, with the noise of few electrons.

    Args:
        electrons: Gathered by a white pixel.
        read_noise: Standard deviation in electrons.
    """

    name: ClassVar[str] = "sensor_noise"
    title: ClassVar[str] = "sensor noise"
    source: ClassVar[str] = _SENSOR_SOURCE
    electrons: float = 60.0
    read_noise: float = 3.0

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        return _expose(images, generators, self.electrons, self.read_noise, 1.0)


@final
@dataclass(frozen=True)
class CameraShake(CaptureCondition):
    """Motion blur of a long exposure: the image is averaged along a straight path in a random direction.

    Args:
        length: Length of the path as a share of the image's shorter side.
    """

    name: ClassVar[str] = "motion_blur"
    title: ClassVar[str] = "motion blur"
    source: ClassVar[str] = "motion blur of Hendrycks & Dietterich 2019, with an even path"
    length: float = 1 / 8

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        path = self.length * min(images.shape[2:])
        kernels = np.stack([path_kernel(path, float(rng.uniform(0, math.pi))) for rng in generators])
        count, channels, height, width = images.shape
        reach = kernels.shape[-1] // 2
        padded = torch.nn.functional.pad(images, (reach, reach, reach, reach), mode="replicate").reshape(1, count * channels, height + 2 * reach, -1)
        weights = torch.from_numpy(kernels).to(images.device, images.dtype)[:, None].repeat_interleave(channels, dim=0)
        blurred = torch.nn.functional.conv2d(padded, weights, groups=count * channels)
        return round_to_8_bits(blurred.reshape(count, channels, height, width))


def path_kernel(path: float, angle: float) -> NDArray[np.float64]:
    """Weights ``(k, k)``, ``k`` odd, of a straight path of ``path`` pixels through the centre at ``angle`` radians; they sum to 1.

    Points along the path are distributed bilinearly over the surrounding pixels.
    """
    reach = math.ceil(path / 2) + 1
    weights = np.zeros((2 * reach + 1, 2 * reach + 1))
    along = np.linspace(-path / 2, path / 2, max(2, round(SAMPLES_PER_PIXEL * path)) + 1)
    x, y = along * math.cos(angle) + reach, along * math.sin(angle) + reach
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for right in (0, 1):
        for down in (0, 1):
            share = np.abs(1 - right - (x - left)) * np.abs(1 - down - (y - top))
            np.add.at(weights, (top + down, left + right), share)
    kernel: NDArray[np.float64] = weights / weights.sum()
    return kernel


@final
@dataclass(frozen=True)
class StrongJpeg(CaptureCondition):
    """JPEG of low quality with 4:2:0 chroma subsampling, for little storage or a slow link.

    Args:
        quality: Of libjpeg, 1 to 95.
    """

    name: ClassVar[str] = "strong_jpeg"
    title: ClassVar[str] = "strong JPEG"
    source: ClassVar[str] = "ITU-T T.81 with libjpeg's quality scale; within the range of Dodge & Karam 2016"
    quality: int = 10

    def apply(self, images: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
        pixels = (images.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        decoded = np.stack([self._compress(image) for image in pixels]).transpose(0, 3, 1, 2)
        return (torch.from_numpy(np.ascontiguousarray(decoded)).to(images.dtype) / 255).to(images.device)

    def _compress(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        file = io.BytesIO()
        Image.fromarray(image).save(file, format="JPEG", quality=self.quality, subsampling="4:2:0")
        return np.asarray(Image.open(file))


CONDITIONS: Final[Mapping[str, CaptureCondition]] = {
    condition.name: condition for condition in (HalfResolution(), QuarterResolution(), LowLight(), SensorNoise(), CameraShake(), StrongJpeg())
}
"""By name, in the order of reports."""
