from typing import Any

import numpy as np
import pytest
from hsv_colours import COLOURS, through_hsv

from efficient360.methods.corruptions.weather import Brightness, Fog, Snow, plasma_fractal


class Recorded:
    """Noise known beforehand, in place of a generator."""

    def __init__(self, size: int) -> None:
        rng = np.random.default_rng(5)
        self.drawn = [rng.random((3, n, n), dtype=np.float32) for n in (2**k for k in range(size.bit_length() - 1))]
        self.given = list(self.drawn)

    def random(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        noise = self.given.pop(0)
        assert noise.shape == shape
        return noise.copy()


def diamond_square(size: int, decay: float, drawn: list[np.ndarray]) -> np.ndarray:
    """Point by point on a torus: the middle of every square, then of every diamond, each the mean of its four corners plus noise."""
    heights = np.zeros((size, size))
    step, amplitude = size, 1.0
    for uniform in drawn:
        noise = (2 * uniform.astype(float) - 1) * amplitude
        half = step // 2
        for i in range(0, size, step):
            for j in range(0, size, step):
                corners = [heights[(i + a) % size, (j + b) % size] for a in (0, step) for b in (0, step)]
                heights[i + half, j + half] = np.mean(corners) + noise[0, i // step, j // step]
        for i in range(0, size, step):
            for j in range(0, size, step):
                for (y, x), layer in (((i, j + half), 1), ((i + half, j), 2)):
                    around = [heights[(y + a) % size, (x + b) % size] for a, b in ((-half, 0), (half, 0), (0, -half), (0, half))]
                    heights[y, x] = np.mean(around) + noise[layer, i // step, j // step]
        step, amplitude = half, amplitude / decay**2
    heights -= heights.min()
    return heights / heights.max()


@pytest.mark.parametrize("decay", [3.0, 1.4])
def test_plasma_is_the_diamond_square_algorithm(decay: float) -> None:
    noise: Any = Recorded(16)
    np.testing.assert_allclose(plasma_fractal(16, decay, noise), diamond_square(16, decay, noise.drawn), atol=1e-5)
    assert noise.given == []


def test_plasma_spans_zero_to_one_and_a_slower_decay_is_rougher() -> None:
    rough, smooth = (plasma_fractal(64, decay, np.random.default_rng(0)) for decay in (1.4, 3.0))
    for clouds in (rough, smooth):
        assert (clouds.shape, clouds.min(), clouds.max()) == ((64, 64), 0, 1)
    assert np.abs(np.diff(rough)).mean() > 2 * np.abs(np.diff(smooth)).mean()


def test_fog_leaves_the_thickest_place_of_a_white_image_white_and_darkens_the_rest() -> None:
    """White 1 under fog f becomes (1 + 2 f) / 3."""
    made = Fog(2, 2).apply(np.full((3, 64, 64), 255, np.uint8), np.random.default_rng(0))
    assert (made.min(), made.max()) == (85, 255)
    np.testing.assert_array_equal(made[0], made[2])


def test_snow_brightens_and_its_flakes_lie_the_same_upside_down() -> None:
    black = np.zeros((3, 64, 64), np.uint8)
    made = Snow(0.2, 0.3, 2, 0.5, 12, 4, 1.0).apply(black, np.random.default_rng(3))
    assert made.max() > 0
    np.testing.assert_array_equal(made, made[:, ::-1, ::-1])
    np.testing.assert_array_equal(made[0], made[1])


def test_without_flakes_snow_only_whitens_the_image() -> None:
    """Grey g becomes kept · g + (1 - kept) · (1.5 g + 127.5)."""
    grey = np.full((3, 32, 32), 100, np.uint8)
    made = Snow(-9, 0.1, 1, 0.5, 4, 2, 0.7).apply(grey, np.random.default_rng(0))
    assert np.unique(made).tolist() == [int(0.7 * 100 + 0.3 * 277.5)]


@pytest.mark.parametrize("added", [0.05, 0.1, 0.5])
def test_brightness_raises_the_value_of_hsv(added: float) -> None:
    np.testing.assert_array_equal(Brightness(added).apply(COLOURS, np.random.default_rng(0)), through_hsv(added=added))
