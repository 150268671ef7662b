"""The strengths of every corruption at severities 1 to 5, as published.

From https://github.com/hendrycks/robustness (Hendrycks & Dietterich 2019): ``imagenet_c/corruptions.py`` for images of 224 pixels,
``make_cifar_c.py`` for images of 32.
"""

from collections.abc import Mapping
from typing import Final

from efficient360.methods.corruptions.blur import DefocusBlur, GaussianBlur, ZoomBlur
from efficient360.methods.corruptions.corruption import Corruption
from efficient360.methods.corruptions.digital import Brightness, Contrast, JpegCompression, Pixelate, Saturate
from efficient360.methods.corruptions.elastic import ElasticTransform
from efficient360.methods.corruptions.frost import Frost
from efficient360.methods.corruptions.glass import GlassBlur
from efficient360.methods.corruptions.motion import MotionBlur
from efficient360.methods.corruptions.noise import GaussianNoise, ImpulseNoise, ShotNoise, SpeckleNoise
from efficient360.methods.corruptions.spatter import Mud, Rain
from efficient360.methods.corruptions.weather import Fog, Snow

Five = tuple[Corruption, Corruption, Corruption, Corruption, Corruption]

IMAGENET_C: Final[Mapping[str, Five]] = {
    "gaussian_noise": (GaussianNoise(0.08), GaussianNoise(0.12), GaussianNoise(0.18), GaussianNoise(0.26), GaussianNoise(0.38)),
    "shot_noise": (ShotNoise(60), ShotNoise(25), ShotNoise(12), ShotNoise(5), ShotNoise(3)),
    "impulse_noise": (ImpulseNoise(0.03), ImpulseNoise(0.06), ImpulseNoise(0.09), ImpulseNoise(0.17), ImpulseNoise(0.27)),
    "defocus_blur": (DefocusBlur(3, 0.1), DefocusBlur(4, 0.5), DefocusBlur(6, 0.5), DefocusBlur(8, 0.5), DefocusBlur(10, 0.5)),
    "glass_blur": (GlassBlur(0.7, 1, 2), GlassBlur(0.9, 2, 1), GlassBlur(1, 2, 3), GlassBlur(1.1, 3, 2), GlassBlur(1.5, 4, 2)),
    "motion_blur": (MotionBlur(10, 3), MotionBlur(15, 5), MotionBlur(15, 8), MotionBlur(15, 12), MotionBlur(20, 15)),
    "zoom_blur": (ZoomBlur(1.11, 0.01), ZoomBlur(1.16, 0.01), ZoomBlur(1.21, 0.02), ZoomBlur(1.26, 0.02), ZoomBlur(1.31, 0.03)),
    "snow": (
        Snow(0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        Snow(0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        Snow(0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        Snow(0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        Snow(0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ),
    "frost": (Frost(1, 0.4, 1), Frost(0.8, 0.6, 1), Frost(0.7, 0.7, 1), Frost(0.65, 0.7, 1), Frost(0.6, 0.75, 1)),
    "fog": (Fog(1.5, 2), Fog(2, 2), Fog(2.5, 1.7), Fog(2.5, 1.5), Fog(3, 1.4)),
    "brightness": (Brightness(0.1), Brightness(0.2), Brightness(0.3), Brightness(0.4), Brightness(0.5)),
    "contrast": (Contrast(0.4), Contrast(0.3), Contrast(0.2), Contrast(0.1), Contrast(0.05)),
    "elastic_transform": (
        ElasticTransform(488, 170.8, 24.4),
        ElasticTransform(488, 19.52, 48.8),
        ElasticTransform(12.2, 2.44, 4.88),
        ElasticTransform(17.08, 2.44, 4.88),
        ElasticTransform(29.28, 2.44, 4.88),
    ),
    "pixelate": (Pixelate(0.6), Pixelate(0.5), Pixelate(0.4), Pixelate(0.3), Pixelate(0.25)),
    "jpeg_compression": (JpegCompression(25), JpegCompression(18), JpegCompression(15), JpegCompression(10), JpegCompression(7)),
    "speckle_noise": (SpeckleNoise(0.15), SpeckleNoise(0.2), SpeckleNoise(0.35), SpeckleNoise(0.45), SpeckleNoise(0.6)),
    "gaussian_blur": (GaussianBlur(1), GaussianBlur(2), GaussianBlur(3), GaussianBlur(4), GaussianBlur(6)),
    "spatter": (
        Rain(0.65, 0.3, 4, 0.69, 0.6),
        Rain(0.65, 0.3, 3, 0.68, 0.6),
        Rain(0.65, 0.3, 2, 0.68, 0.5),
        Mud(0.65, 0.3, 1, 0.65, 1.5),
        Mud(0.67, 0.4, 1, 0.65, 1.5),
    ),
    "saturate": (Saturate(0.3, 0), Saturate(0.1, 0), Saturate(2, 0), Saturate(5, 0.1), Saturate(20, 0.2)),
}
"""For 224 pixels."""

CIFAR_C: Final[Mapping[str, Five]] = {
    "gaussian_noise": (GaussianNoise(0.04), GaussianNoise(0.06), GaussianNoise(0.08), GaussianNoise(0.09), GaussianNoise(0.1)),
    "shot_noise": (ShotNoise(500), ShotNoise(250), ShotNoise(100), ShotNoise(75), ShotNoise(50)),
    "impulse_noise": (ImpulseNoise(0.01), ImpulseNoise(0.02), ImpulseNoise(0.03), ImpulseNoise(0.05), ImpulseNoise(0.07)),
    "defocus_blur": (DefocusBlur(0.3, 0.4), DefocusBlur(0.4, 0.5), DefocusBlur(0.5, 0.6), DefocusBlur(1, 0.2), DefocusBlur(1.5, 0.1)),
    "glass_blur": (GlassBlur(0.05, 1, 1), GlassBlur(0.25, 1, 1), GlassBlur(0.4, 1, 1), GlassBlur(0.25, 1, 2), GlassBlur(0.4, 1, 2)),
    "motion_blur": (MotionBlur(6, 1), MotionBlur(6, 1.5), MotionBlur(6, 2), MotionBlur(8, 2), MotionBlur(9, 2.5)),
    "zoom_blur": (ZoomBlur(1.06, 0.01), ZoomBlur(1.11, 0.01), ZoomBlur(1.16, 0.01), ZoomBlur(1.21, 0.01), ZoomBlur(1.26, 0.01)),
    "snow": (
        Snow(0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        Snow(0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        Snow(0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        Snow(0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        Snow(0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ),
    "frost": (Frost(1, 0.2, 0.2), Frost(1, 0.3, 0.2), Frost(0.9, 0.4, 0.2), Frost(0.85, 0.4, 0.2), Frost(0.75, 0.45, 0.2)),
    "fog": (Fog(0.2, 3), Fog(0.5, 3), Fog(0.75, 2.5), Fog(1, 2), Fog(1.5, 1.75)),
    "brightness": (Brightness(0.05), Brightness(0.1), Brightness(0.15), Brightness(0.2), Brightness(0.3)),
    "contrast": (Contrast(0.75), Contrast(0.5), Contrast(0.4), Contrast(0.3), Contrast(0.15)),
    "elastic_transform": (
        ElasticTransform(0, 0, 2.56),
        ElasticTransform(1.6, 6.4, 2.24),
        ElasticTransform(2.56, 1.92, 1.92),
        ElasticTransform(3.2, 1.28, 1.6),
        ElasticTransform(3.2, 0.96, 0.96),
    ),
    "pixelate": (Pixelate(0.95), Pixelate(0.9), Pixelate(0.85), Pixelate(0.75), Pixelate(0.65)),
    "jpeg_compression": (JpegCompression(80), JpegCompression(65), JpegCompression(58), JpegCompression(50), JpegCompression(40)),
    "speckle_noise": (SpeckleNoise(0.06), SpeckleNoise(0.1), SpeckleNoise(0.12), SpeckleNoise(0.16), SpeckleNoise(0.2)),
    "gaussian_blur": (GaussianBlur(0.4), GaussianBlur(0.6), GaussianBlur(0.7), GaussianBlur(0.8), GaussianBlur(1)),
    "spatter": (
        Rain(0.62, 0.1, 0.7, 0.7, 0.5),
        Rain(0.65, 0.1, 0.8, 0.7, 0.5),
        Rain(0.65, 0.3, 1, 0.69, 0.5),
        Mud(0.65, 0.1, 0.7, 0.69, 0.6),
        Mud(0.65, 0.1, 0.5, 0.68, 0.6),
    ),
    "saturate": (Saturate(0.3, 0), Saturate(0.1, 0), Saturate(1.5, 0), Saturate(2, 0.1), Saturate(2.5, 0.2)),
}
"""For 32 pixels."""

COMMON: Final = tuple(IMAGENET_C)[:15]
"""The fifteen corruptions that a mean corruption error is taken over."""
EXTRA: Final = tuple(IMAGENET_C)[15:]
"""The four that ImageNet-C keeps for validation."""
TABLES: Final[Mapping[str, Mapping[str, Five]]] = {"imagenet-c": IMAGENET_C, "cifar-c": CIFAR_C}
SEVERITIES: Final = (1, 2, 3, 4, 5)
_SMALL = 64


def suited(table: str, height: int, width: int) -> str:
    """The table that a setting names for images of a size: ``auto`` is ``cifar-c`` where the longer side has at most 64 pixels."""
    if table != "auto":
        return table
    return "cifar-c" if max(height, width) <= _SMALL else "imagenet-c"
