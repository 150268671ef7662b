import math

import numpy as np
import pytest

from efficient360.methods.corruptions.motion import line, streaked
from efficient360.methods.corruptions.weather import Snow

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("angle", [-45, -10.5, 0, 30, -90, 120])
def test_the_weights_sum_to_one_and_fade(angle: float) -> None:
    weights = line(10, 3.0, angle)
    assert sum(weights.values()) == pytest.approx(1)
    assert next(iter(weights)) == (0, 0)
    assert weights[0, 0] > 3 * list(weights.values())[-1]


def test_a_level_line_is_half_a_gaussian_to_the_right() -> None:
    weights = line(2, 1.5, 0.0)
    fading = [math.exp(-(i**2) / 4.5) for i in range(5)]
    assert list(weights) == [(0, i) for i in range(5)]
    np.testing.assert_allclose(list(weights.values()), np.array(fading) / sum(fading))


def test_a_slanted_line_steps_down_by_the_sine_rounded() -> None:
    assert list(line(2, 5.0, 30.0)) == [(0, 0), (0, 1), (1, 2), (1, 3), (2, 3)]


def test_half_way_between_two_pixels_it_takes_imagemagicks() -> None:
    """Where a single white pixel went under MagickMotionBlurImage(10, 8, angle) of ImageMagick 6."""
    assert list(line(10, 8.0, -150.0))[:4] == [(0, 0), (0, -1), (-1, -2), (-1, -3)]
    assert list(line(10, 8.0, -30.0))[:4] == [(0, 0), (0, 1), (-1, 2), (-1, 3)]


@pytest.mark.parametrize("angle", [-40.0, 17.0, -100.0])
@pytest.mark.parametrize("shape", [(2, 30, 40), (1, 9, 12)])
def test_every_point_is_a_weighted_sum_along_the_line_with_the_border_going_on(shape: tuple[int, int, int], angle: float) -> None:
    levels = RNG.uniform(0, 255, shape).astype(np.float32)
    rows, columns = np.mgrid[0 : shape[1], 0 : shape[2]]
    expected = np.zeros(shape)
    for (down, right), weight in line(12, 6.0, angle).items():
        expected += weight * levels[:, np.clip(rows + down, 0, shape[1] - 1), np.clip(columns + right, 0, shape[2] - 1)]
    np.testing.assert_allclose(streaked(levels, 12, 6.0, angle), expected, atol=1e-3)


def test_snow_brightens_and_its_flakes_lie_the_same_upside_down() -> None:
    black = np.zeros((3, 64, 64), np.uint8)
    made = Snow(0.2, 0.3, 2, 0.5, 12, 4, 1.0).apply(black, np.random.default_rng(3))
    assert made.max() > 0
    np.testing.assert_array_equal(made, made[:, ::-1, ::-1])
    np.testing.assert_array_equal(made[0], made[1])


def test_without_flakes_snow_only_pales_the_image() -> None:
    """Grey g becomes kept · g + (1 - kept) · (1.5 g + 127.5)."""
    grey = np.full((3, 32, 32), 100, np.uint8)
    made = Snow(-9, 0.1, 1, 0.5, 4, 2, 0.7).apply(grey, RNG)
    assert np.unique(made).tolist() == [int(0.7 * 100 + 0.3 * 277.5)]
