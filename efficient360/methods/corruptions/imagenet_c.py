"""ImageNet-C and CIFAR-10-C: the published severities of every corruption, and batches of images corrupted with them.

The constants are those of https://github.com/hendrycks/robustness (Hendrycks & Dietterich 2019): ``imagenet_c/corruptions.py`` for images of
224 pixels, ``make_cifar_c.py`` for images of 32.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.core.figures import Gallery, Picture
from efficient360.core.formatting import class_name
from efficient360.core.thumbnails import data_uri
from efficient360.methods.corruptions.blur import DefocusBlur, GaussianBlur, GlassBlur, MotionBlur, ZoomBlur
from efficient360.methods.corruptions.corruption import ImageCorruption, Pixels, example_generator, to_uint8
from efficient360.methods.corruptions.digital import Contrast, ElasticTransform, JpegCompression, Pixelate, Saturate
from efficient360.methods.corruptions.frost import Frost
from efficient360.methods.corruptions.noise import GaussianNoise, ImpulseNoise, ShotNoise, SpeckleNoise
from efficient360.methods.corruptions.spatter import MudSpatter, WaterSpatter
from efficient360.methods.corruptions.weather import Brightness, Fog, Snow
from efficient360.models.model import Model

FiveSeverities = tuple[ImageCorruption, ImageCorruption, ImageCorruption, ImageCorruption, ImageCorruption]

IMAGENET_C: Final[Mapping[str, FiveSeverities]] = {
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
        WaterSpatter(0.65, 0.3, 4, 0.69, 0.6),
        WaterSpatter(0.65, 0.3, 3, 0.68, 0.6),
        WaterSpatter(0.65, 0.3, 2, 0.68, 0.5),
        MudSpatter(0.65, 0.3, 1, 0.65, 1.5),
        MudSpatter(0.67, 0.4, 1, 0.65, 1.5),
    ),
    "saturate": (Saturate(0.3, 0), Saturate(0.1, 0), Saturate(2, 0), Saturate(5, 0.1), Saturate(20, 0.2)),
}
"""For 224 pixels."""

CIFAR_C: Final[Mapping[str, FiveSeverities]] = {
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
        WaterSpatter(0.62, 0.1, 0.7, 0.7, 0.5),
        WaterSpatter(0.65, 0.1, 0.8, 0.7, 0.5),
        WaterSpatter(0.65, 0.3, 1, 0.69, 0.5),
        MudSpatter(0.65, 0.1, 0.7, 0.69, 0.6),
        MudSpatter(0.65, 0.1, 0.5, 0.68, 0.6),
    ),
    "saturate": (Saturate(0.3, 0), Saturate(0.1, 0), Saturate(1.5, 0), Saturate(2, 0.1), Saturate(2.5, 0.2)),
}
"""For 32 pixels."""

COMMON: Final = tuple(IMAGENET_C)[:15]
"""The fifteen corruptions of the mean corruption error."""
EXTRA: Final = tuple(IMAGENET_C)[15:]
"""ImageNet-C's four extra corruptions, meant for validation."""
TABLES: Final[Mapping[str, Mapping[str, FiveSeverities]]] = {"imagenet-c": IMAGENET_C, "cifar-c": CIFAR_C}
SEVERITIES: Final = (1, 2, 3, 4, 5)
_MAX_CIFAR_SIDE = 64


def resolve_table(table: str, height: int, width: int) -> str:
    """The table of severities to use for images of a size: ``auto`` is ``cifar-c`` where the longer side has at most 64 pixels."""
    if table != "auto":
        return table
    return "cifar-c" if max(height, width) <= _MAX_CIFAR_SIDE else "imagenet-c"


@final
@dataclass(frozen=True)
class CorruptionSetting:
    """One corruption at one severity, 1 to 5, with the constants of one table."""

    corruption: str
    severity: int
    table: str


def corrupt_image(pixels: Pixels, example: str, setting: CorruptionSetting, seed: int) -> Pixels:
    """One corrupted image, uint8 ``(3, H, W)``: depends on the image, its example id, the setting and the seed alone."""
    rng = example_generator(seed, example, setting.corruption, setting.severity)
    return TABLES[setting.table][setting.corruption][setting.severity - 1].apply(pixels, rng)


def corrupted_batches(images: Tensor, ids: Sequence[str], settings: Sequence[CorruptionSetting], seed: int) -> Iterator[tuple[CorruptionSetting, Tensor]]:
    """The batch under each setting in order, float32 ``(B, 3, H, W)`` quantised to 8 bits.

    Images are corrupted in as many threads as torch has, one batch ahead of the model; the number of threads changes no value.

    Args:
        images: float32 ``(B, 3, H, W)`` in [0, 1], rounded to 8 bits first.
        ids: Example ids, length ``B``.
        settings: Corruptions and severities.
        seed: The run's seed.
    """
    batch = to_uint8(images)
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as pool:

        def submit(setting: CorruptionSetting) -> list[Future[Pixels]]:
            return [pool.submit(corrupt_image, pixels, example, setting, seed) for pixels, example in zip(batch, ids, strict=True)]

        pending = submit(settings[0]) if settings else []
        for setting, following in zip_longest(settings, settings[1:]):
            ready, pending = pending, submit(following) if following is not None else []
            corrupted = np.stack([future.result() for future in ready])
            yield setting, torch.from_numpy(corrupted).float() / 255


def corrupted_batch(batch: Batch, setting: CorruptionSetting) -> Tensor:
    """The images of a batch under one corruption, as :func:`corrupted_batches`."""
    ((_, images),) = corrupted_batches(batch.images, batch.ids, [setting], batch.seed)
    return images


def corruption_gallery(model: Model, batch: Batch, corruptions: Sequence[str], severity: int, table: str, class_names: Sequence[str]) -> Gallery:
    """A batch's single example, clean and under each corruption at one severity, with the predicted classes."""
    label = int(batch.labels[0])
    pictures = [_captioned(batch.images, int(model.logits(batch)[0].argmax()), label, "clean", class_names)]
    settings = [CorruptionSetting(name, severity, table) for name in corruptions]
    for setting, images in corrupted_batches(batch.images, batch.ids, settings, batch.seed):
        with torch.inference_mode():
            predicted = int(model(images)[0].argmax())
        pictures.append(_captioned(images, predicted, label, setting.corruption.replace("_", " "), class_names))
    return Gallery(f"{batch.ids[0]} under every corruption, severity {severity}", tuple(pictures))


def _captioned(images: Tensor, predicted: int, label: int, corruption: str, class_names: Sequence[str]) -> Picture:
    return Picture(data_uri(images[0]), f"{corruption}: {class_name(predicted, class_names)}", "correct" if predicted == label else "incorrect")
