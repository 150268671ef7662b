"""Against the package that most people use, where it is installed. Its elastic transform and its pixelation are not ImageNet-C's."""

import numpy as np
import pytest

from efficient360.methods.corruptions.imagenet_c import COMMON, EXTRA, CorruptionSetting, corrupt_image

imagecorruptions = pytest.importorskip("imagecorruptions", reason="the optional package imagecorruptions-imaug is not installed")
SAME = [name for name in (*COMMON, *EXTRA) if name not in ("elastic_transform", "pixelate")]
EXACT = {"brightness": 1, "contrast": 1, "saturate": 1, "jpeg_compression": 0, "gaussian_blur": 1, "defocus_blur": 1, "zoom_blur": 6}


def image() -> np.ndarray:
    """Soft shapes in three colours, uint8 (96, 96, 3)."""
    y, x = np.mgrid[0:96, 0:96] / 96
    return np.stack([120 + 90 * np.sin(7 * x + 2 * y), 110 + 80 * np.cos(9 * y), 128 + 70 * np.sin(12 * x * y)], axis=-1).clip(0, 255).astype(np.uint8)


def moments(made: list[np.ndarray]) -> np.ndarray:
    return np.array([(one.mean(), one.std(), np.abs(np.diff(one.astype(int), axis=2)).mean()) for one in made])


@pytest.mark.slow
@pytest.mark.parametrize("name", SAME)
def test_brightness_contrast_and_sharpness_are_the_packages(name: str) -> None:
    np.random.seed(0)
    planar = np.ascontiguousarray(image().transpose(2, 0, 1))
    for severity in (1, 3, 5):
        mine = moments([corrupt_image(planar, str(i), CorruptionSetting(name, severity, "imagenet-c"), 0) for i in range(30)])
        theirs = moments([imagecorruptions.corrupt(image(), severity, name).transpose(2, 0, 1) for _ in range(30)])
        error = np.hypot(mine.std(axis=0), theirs.std(axis=0)) / 30**0.5
        assert (np.abs(mine.mean(axis=0) - theirs.mean(axis=0)) < 5 * error + 0.6).all(), (severity, mine.mean(axis=0), theirs.mean(axis=0))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "levels"), EXACT.items())
def test_what_is_not_random_is_the_same_image(name: str, levels: int) -> None:
    planar = np.ascontiguousarray(image().transpose(2, 0, 1))
    for severity in (1, 4):
        mine = corrupt_image(planar, "a", CorruptionSetting(name, severity, "imagenet-c"), 0).astype(int)
        theirs = imagecorruptions.corrupt(image(), severity, name).transpose(2, 0, 1)
        assert np.abs(mine - theirs)[:, 8:-8, 8:-8].mean() <= levels / 2
