"""Filters against SciPy, and the motion kernel against ImageMagick."""

import math
from typing import Literal

import numpy as np
import pytest
import torch
from scipy import ndimage

from efficient360.methods.corruptions.filters import gaussian_smooth, magnify, motion_filter, motion_kernel, zoom_in

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("border", ["nearest", "reflect"])
@pytest.mark.parametrize(("sigma", "truncate"), [(0.05, 4), (0.7, 4), (1.5, 4), (19.5, 3), (170.8, 3)])
@pytest.mark.parametrize("shape", [(2, 33, 47), (1, 130, 70)])
def test_smoothing_is_scipys(shape: tuple[int, ...], sigma: float, truncate: float, border: Literal["nearest", "reflect"]) -> None:
    levels = RNG.uniform(0, 255, shape).astype(np.float32)
    theirs = ndimage.gaussian_filter(levels.astype(float), (0, sigma, sigma), truncate=truncate, mode=border)
    np.testing.assert_allclose(gaussian_smooth(levels, sigma, truncate, border), theirs, atol=1e-3)


def test_no_width_changes_nothing() -> None:
    levels = RNG.uniform(0, 255, (3, 9, 8)).astype(np.float32)
    np.testing.assert_array_equal(gaussian_smooth(levels, 0.0), levels)


@pytest.mark.parametrize("factor", [1.0, 1.06, 1.25, 2.5, 4.5])
@pytest.mark.parametrize("shape", [(32, 32), (45, 60)])
def test_zooming_is_scipys_trimmed_about_its_middle(shape: tuple[int, int], factor: float) -> None:
    levels = RNG.uniform(0, 255, (3, *shape)).astype(np.float32)
    part = levels[:, 3:23, 5:35]
    whole = ndimage.zoom(part.astype(float), (1, factor, factor), order=1)
    found = magnify(torch.from_numpy(part)[None], factor, 20, 30)[0].numpy()
    top, left = (whole.shape[1] - 20) // 2, (whole.shape[2] - 30) // 2
    np.testing.assert_allclose(found, whole[:, top : top + 20, left : left + 30], atol=1e-3)
    assert zoom_in(torch.from_numpy(levels)[None], factor).shape == (1, *levels.shape)


def test_8_bit_values_are_zoomed_as_levels_and_rounded() -> None:
    image = torch.from_numpy(RNG.integers(0, 256, (1, 3, 40, 52), dtype=np.uint8))
    exact = zoom_in(image.float(), 1.13)
    apart = zoom_in(image.contiguous(memory_format=torch.channels_last), 1.13) - exact
    assert apart.abs().max() <= 1  # rounded once a direction
    assert abs(float(apart.mean())) < 0.12  # halves are rounded up


def test_zooming_by_one_changes_nothing() -> None:
    levels = torch.rand((1, 3, 20, 31), generator=torch.Generator().manual_seed(0))
    assert torch.equal(zoom_in(levels, 1.0), levels)


@pytest.mark.parametrize("angle", [-45, -10.5, 0, 30, -90, 120])
def test_the_weights_sum_to_one_and_fade(angle: float) -> None:
    weights = motion_kernel(10, 3.0, angle)
    assert sum(weights.values()) == pytest.approx(1)
    assert next(iter(weights)) == (0, 0)
    assert weights[0, 0] > 3 * list(weights.values())[-1]


def test_a_level_line_is_half_a_gaussian_to_the_right() -> None:
    weights = motion_kernel(2, 1.5, 0.0)
    fading = [math.exp(-(i**2) / 4.5) for i in range(5)]
    assert list(weights) == [(0, i) for i in range(5)]
    np.testing.assert_allclose(list(weights.values()), np.array(fading) / sum(fading))


def test_a_slanted_line_steps_down_by_the_sine_rounded() -> None:
    assert list(motion_kernel(2, 5.0, 30.0)) == [(0, 0), (0, 1), (1, 2), (1, 3), (2, 3)]


def test_half_way_between_two_pixels_it_takes_imagemagicks() -> None:
    """Where a single white pixel went under MagickMotionBlurImage(10, 8, angle) of ImageMagick 6."""
    assert list(motion_kernel(10, 8.0, -150.0))[:4] == [(0, 0), (0, -1), (-1, -2), (-1, -3)]
    assert list(motion_kernel(10, 8.0, -30.0))[:4] == [(0, 0), (0, 1), (-1, 2), (-1, 3)]


@pytest.mark.parametrize("angle", [-40.0, 17.0, -100.0])
@pytest.mark.parametrize("shape", [(2, 30, 40), (1, 9, 12)])
def test_every_point_is_a_weighted_sum_along_the_line_with_the_border_going_on(shape: tuple[int, int, int], angle: float) -> None:
    levels = RNG.uniform(0, 255, shape).astype(np.float32)
    rows, columns = np.mgrid[0 : shape[1], 0 : shape[2]]
    expected = np.zeros(shape)
    for (down, right), weight in motion_kernel(12, 6.0, angle).items():
        expected += weight * levels[:, np.clip(rows + down, 0, shape[1] - 1), np.clip(columns + right, 0, shape[2] - 1)]
    np.testing.assert_allclose(motion_filter(levels, 12, 6.0, angle), expected, atol=1e-3)
