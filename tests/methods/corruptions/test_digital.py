import io
from typing import Literal

import numpy as np
import pytest
from hsv_colours import COLOURS, through_hsv
from PIL import Image
from scipy import ndimage

from efficient360.methods.corruptions.digital import Contrast, ElasticTransform, JpegCompression, Pixelate, Saturate, sample_bilinear

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("factor", "added"), [(0.3, 0), (2, 0), (5, 0.1), (20, 0.2)])
def test_saturate_changes_the_saturation_of_hsv(factor: float, added: float) -> None:
    made, expected = Saturate(factor, added).apply(COLOURS, RNG).astype(int), through_hsv(saturation_factor=factor, saturation_added=added)
    assert np.abs(made - expected).max() <= 1
    assert (made == expected).mean() > 0.995


def test_contrast_by_hand() -> None:
    """The mean of 50 and 150 is 100; two fifths of the distance are kept."""
    image = np.zeros((3, 2, 2), np.uint8)
    image[:, :, 0], image[:, :, 1] = 50, 150
    image[2] = 7
    made = Contrast(0.4).apply(image, RNG)
    assert made[0].tolist() == [[80, 120], [80, 120]]
    assert (made[2] == 7).all()


def test_pixelate_by_hand() -> None:
    """Four by four to two by two: every block becomes its mean."""
    block = np.array([[10, 20, 100, 100], [30, 40, 100, 104], [0, 0, 255, 255], [0, 0, 255, 255]], np.uint8)
    made = Pixelate(0.5).apply(np.stack([block] * 3), RNG)
    assert made[1].tolist() == [[25, 25, 101, 101]] * 2 + [[0, 0, 255, 255]] * 2


def test_jpeg_is_pillows() -> None:
    image = RNG.integers(0, 256, (3, 24, 40), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, "JPEG", quality=18)
    np.testing.assert_array_equal(JpegCompression(18).apply(image, RNG), np.asarray(Image.open(file)).transpose(2, 0, 1))
    assert file.getvalue()[:2] == b"\xff\xd8"


@pytest.mark.parametrize(("about", "mode"), [("pixel", "mirror"), ("edge", "reflect")])
def test_sampling_is_scipys_far_beyond_the_border_too(about: Literal["pixel", "edge"], mode: str) -> None:
    levels = RNG.uniform(0, 255, (3, 21, 30)).astype(np.float32)
    across, down = RNG.uniform(-25, 55, (21, 30)).astype(np.float32), RNG.uniform(-18, 38, (21, 30)).astype(np.float32)
    expected = np.stack([ndimage.map_coordinates(channel.astype(float), [down, across], order=1, mode=mode) for channel in levels])
    np.testing.assert_allclose(sample_bilinear(levels, across, down, about), expected, atol=0.02)


def test_nothing_moves_without_jitter_and_strength() -> None:
    image = RNG.integers(0, 256, (3, 32, 40), dtype=np.uint8)
    made = ElasticTransform(0, 0, 0).apply(image, RNG)
    assert np.abs(made.astype(int) - image).max() <= 1
    assert (made == image).mean() > 0.99


def test_the_affine_map_takes_the_three_points_where_they_were_moved() -> None:
    """What lies at a moved point in the made image comes from the point in the middle of the given one."""
    matrix = ElasticTransform(0, 0, 5.0)._affine(60, 48, np.random.default_rng(7))
    moved = np.random.default_rng(7).uniform(-5, 5, (3, 2)) + (points := np.array([[40, 46], [40, 14], [8, 14]]))
    np.testing.assert_allclose(np.column_stack([moved, np.ones(3)]) @ matrix.T, points, atol=1e-3)


def test_the_displacement_has_the_strength_of_smoothed_noise() -> None:
    """A smoothed uniform field has variance 1/3 · 1/(4 π σ²): pixels of a ramp are off by that much, times alpha."""
    alpha, sigma = 60.0, 3.0
    ramp = np.broadcast_to(np.arange(128, dtype=np.uint8) * 2, (3, 128, 128)).copy()
    off = [ElasticTransform(alpha, sigma, 0).apply(ramp, np.random.default_rng(i)).astype(float) - ramp for i in range(4)]
    inner = np.stack(off)[:, 0, 12:-12, 12:-12] / 2
    assert inner.std() == pytest.approx(alpha * (1 / 3 / (4 * np.pi * sigma**2)) ** 0.5, rel=0.1)
