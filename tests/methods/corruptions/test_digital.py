import colorsys
import io

import numpy as np
import pytest
from PIL import Image

from efficient360.methods.corruptions.corruption import quantised
from efficient360.methods.corruptions.digital import Brightness, Contrast, JpegCompression, Pixelate, Saturate

RNG = np.random.default_rng(0)
CHOSEN = np.array([[0, 0, 0], [255, 255, 255], [90, 90, 90], [255, 0, 0], [7, 200, 200], [0, 0, 1]]).T
COLOURS = np.concatenate([RNG.integers(0, 256, (3, 300)), CHOSEN, np.arange(256)[None].repeat(3, 0)], axis=1).astype(np.uint8)[:, :, None]


def through_hsv(change: str, a: float, b: float) -> np.ndarray:
    """Every colour by the standard library's colour model."""
    made = []
    for red, green, blue in COLOURS[:, :, 0].T.tolist():
        h, s, v = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        if change == "value":
            v = min(v + a, 1)
        else:
            s = min(max(s * a + b, 0), 1)
        made.append([255 * c for c in colorsys.hsv_to_rgb(h, s, v)])
    return quantised(np.array(made).T)[:, :, None]


@pytest.mark.parametrize("added", [0.05, 0.1, 0.5])
def test_brightness_raises_the_value_of_hsv(added: float) -> None:
    np.testing.assert_array_equal(Brightness(added).apply(COLOURS, RNG), through_hsv("value", added, 0))


@pytest.mark.parametrize(("factor", "added"), [(0.3, 0), (2, 0), (5, 0.1), (20, 0.2)])
def test_saturate_changes_the_saturation_of_hsv(factor: float, added: float) -> None:
    made, expected = Saturate(factor, added).apply(COLOURS, RNG).astype(int), through_hsv("saturation", factor, added)
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
