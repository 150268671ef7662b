"""Digital changes: brightness, contrast, saturation, pixelation, JPEG."""

import io
from dataclasses import dataclass
from typing import final

import numpy as np
from PIL import Image

from efficient360.methods.corruptions.corruption import Corruption, Pixels, quantised


@final
@dataclass(frozen=True)
class Brightness(Corruption):
    """Brighter: more value in hue, saturation and value.

    Args:
        added: To the value, white being 1.
    """

    added: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Raise the value, hue and saturation kept."""
        # The value is the largest channel. With hue and saturation kept, all three grow with it in proportion.
        value, brighter = pixels.max(axis=0), np.minimum(np.arange(256) + 255 * self.added, 255)
        growth = np.divide(brighter, np.arange(256), out=np.zeros(256), where=np.arange(256) > 0).astype(np.float32)
        levels = pixels * growth[value]
        levels[:, value == 0] = brighter[0]  # black has no colour: it turns grey
        return quantised(levels)


@final
@dataclass(frozen=True)
class Contrast(Corruption):
    """Values nearer to their channel's mean.

    Args:
        kept: Share of the distance that is kept.
    """

    kept: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Draw every channel's values towards its mean."""
        means = pixels.mean(axis=(1, 2))
        replaced = quantised((np.arange(256) - means[:, None]) * self.kept + means[:, None])
        return np.stack([table[channel] for table, channel in zip(replaced, pixels, strict=True)])


@final
@dataclass(frozen=True)
class Saturate(Corruption):
    """Colours paler or stronger: another saturation in hue, saturation and value.

    Args:
        factor: Of the saturation.
        added: To it, after.
    """

    factor: float
    added: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Scale and shift the saturation, hue and value kept."""
        value, least = pixels.max(axis=0).astype(np.float32), pixels.min(axis=0).astype(np.float32)
        span = value - least
        saturation = np.divide(span, value, out=np.zeros_like(value), where=value > 0)
        wanted = np.clip(saturation * self.factor + self.added, 0, 1)
        # A channel's distance from the largest one grows with the saturation; grey counts as red, as hue 0 does.
        growth = np.divide(wanted, saturation, out=np.zeros_like(value), where=saturation > 0)
        levels = value - (value - pixels) * growth
        grey = saturation == 0
        levels[1:, grey] = (value * (1 - wanted))[grey]
        return quantised(levels)


@final
@dataclass(frozen=True)
class Pixelate(Corruption):
    """Large pixels: averaged down and blown up again.

    Args:
        share: Of the height and width that is left.
    """

    share: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Average down, then repeat every pixel."""
        _, height, width = pixels.shape
        small = max(1, int(width * self.share)), max(1, int(height * self.share))
        picture = _picture(pixels).resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)
        return _pixels(picture)


@final
@dataclass(frozen=True)
class JpegCompression(Corruption):
    """Saved as JPEG and read again.

    Args:
        quality: Of the encoder, 1 to 95.
    """

    quality: int

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """Save as JPEG and read again."""
        file = io.BytesIO()
        _picture(pixels).save(file, "JPEG", quality=self.quality)
        with Image.open(file) as read:
            return _pixels(read)


def _picture(pixels: Pixels) -> Image.Image:
    return Image.merge("RGB", [Image.fromarray(channel) for channel in pixels])


def _pixels(picture: Image.Image) -> Pixels:
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))
