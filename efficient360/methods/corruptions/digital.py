"""Digital corruptions: contrast, saturation, elastic transform, pixelation, JPEG."""

import io
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
from PIL import Image

from efficient360.methods.corruptions.corruption import ImageCorruption, Levels, Pixels, quantise
from efficient360.methods.corruptions.filters import gaussian_smooth


@final
@dataclass(frozen=True)
class Contrast(ImageCorruption):
    """Values moved towards their channel's mean.

    Args:
        kept: Share of the distance from the mean that is kept.
    """

    kept: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        means = pixels.mean(axis=(1, 2))
        tables = quantise((np.arange(256) - means[:, None]) * self.kept + means[:, None])
        return np.stack([table[channel] for table, channel in zip(tables, pixels, strict=True)])


@final
@dataclass(frozen=True)
class Saturate(ImageCorruption):
    """Colours paler or stronger: another saturation (S) in HSV, hue and value unchanged.

    Args:
        factor: Of the saturation.
        added: To it, afterwards.
    """

    factor: float
    added: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        value, least = pixels.max(axis=0).astype(np.float32), pixels.min(axis=0).astype(np.float32)
        span = value - least
        saturation = np.divide(span, value, out=np.zeros_like(value), where=value > 0)
        target = np.clip(saturation * self.factor + self.added, 0, 1)
        # A channel's distance from the largest one scales with the saturation; grey counts as red, as hue 0 does.
        scale = np.divide(target, saturation, out=np.zeros_like(value), where=saturation > 0)
        levels = value - (value - pixels) * scale
        grey = saturation == 0
        levels[1:, grey] = (value * (1 - target))[grey]
        return quantise(levels)


@final
@dataclass(frozen=True)
class Pixelate(ImageCorruption):
    """Downsampled by averaging and enlarged again to large pixels.

    Args:
        share: Of the height and width that is left.
    """

    share: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        _, height, width = pixels.shape
        small = max(1, int(width * self.share)), max(1, int(height * self.share))
        image = _to_pillow(pixels).resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)
        return _from_pillow(image)


@final
@dataclass(frozen=True)
class JpegCompression(ImageCorruption):
    """Saved as JPEG and read again.

    Args:
        quality: Of the encoder, 1 to 95.
    """

    quality: int

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        file = io.BytesIO()
        _to_pillow(pixels).save(file, "JPEG", quality=self.quality)
        with Image.open(file) as decoded:
            return _from_pillow(decoded)


def _to_pillow(pixels: Pixels) -> Image.Image:
    return Image.merge("RGB", [Image.fromarray(channel) for channel in pixels])


def _from_pillow(image: Image.Image) -> Pixels:
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


@final
@dataclass(frozen=True)
class ElasticTransform(ImageCorruption):
    """A random affine map, then a smooth random displacement field (Simard, Steinkraus & Platt 2003).

    Args:
        alpha: Strength of the displacement.
        sigma: Smoothness of the displacement, in pixels.
        jitter: How far each of three points in the middle moves in the affine map, in pixels at most.
    """

    alpha: float
    sigma: float
    jitter: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        _, height, width = pixels.shape
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        (a, b, c), (d, e, f) = self._affine(height, width, rng)
        mapped = sample_bilinear(pixels.astype(np.float32), a * x + b * y + c, d * x + e * y + f, "pixel")
        if self.alpha == 0:
            return quantise(mapped)
        displacement = rng.random((2, height, width), dtype=np.float32)
        displacement *= 2
        displacement -= 1
        displacement = gaussian_smooth(displacement, self.sigma, truncate=3.0, border="reflect")
        displacement *= self.alpha
        return quantise(sample_bilinear(mapped, x + displacement[0], y + displacement[1], "edge"))

    def _affine(self, height: int, width: int, rng: np.random.Generator) -> Levels:
        """Inverse affine map, float32 ``(2, 3)``: from (x, y, 1) in the result to (x, y) in the image."""
        middle, arm = np.array([width // 2, height // 2]), min(height, width) // 3
        points = middle + arm * np.array([[1, 1], [1, -1], [-1, -1]])
        moved = points + rng.uniform(-self.jitter, self.jitter, points.shape)
        return np.linalg.solve(np.column_stack([moved, np.ones(3)]), points).T.astype(np.float32)


def sample_bilinear(levels: Levels, x: Levels, y: Levels, mirror: Literal["pixel", "edge"]) -> Levels:
    """Bilinear interpolation of ``(C, H, W)`` at the places ``(H, W)``, in pixels.

    The image is mirrored at the border, about its outermost pixels (``pixel``) or about their outer edges (``edge``).
    """
    _, height, width = levels.shape
    align_corners = mirror == "pixel"
    if align_corners:
        grid = np.stack([x * (2 / max(1, width - 1)) - 1, y * (2 / max(1, height - 1)) - 1], axis=-1)
    else:
        grid = np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], axis=-1)
    sampled: Levels = torch.nn.functional.grid_sample(
        torch.from_numpy(levels)[None], torch.from_numpy(grid)[None], mode="bilinear", padding_mode="reflection", align_corners=align_corners
    )[0].numpy()
    return sampled
