import numpy as np
import pytest
import torch
from scipy import ndimage

from efficient360.methods.corruptions.blur import DefocusBlur, GaussianBlur, ZoomBlur, disc
from efficient360.methods.corruptions.corruption import quantised
from efficient360.methods.corruptions.smoothing import smoothed
from efficient360.methods.corruptions.zooming import magnified, zoomed

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("border", ["nearest", "reflect"])
@pytest.mark.parametrize(("sigma", "truncate"), [(0.05, 4), (0.7, 4), (1.5, 4), (19.5, 3), (170.8, 3)])
@pytest.mark.parametrize("shape", [(2, 33, 47), (1, 130, 70)])
def test_smoothing_is_scipys(shape: tuple[int, ...], sigma: float, truncate: float, border: str) -> None:
    levels = RNG.uniform(0, 255, shape).astype(np.float32)
    theirs = ndimage.gaussian_filter(levels.astype(float), (0, sigma, sigma), truncate=truncate, mode=border)
    np.testing.assert_allclose(smoothed(levels, sigma, truncate, border), theirs, atol=1e-3)


def test_no_width_changes_nothing() -> None:
    levels = RNG.uniform(0, 255, (3, 9, 8)).astype(np.float32)
    np.testing.assert_array_equal(smoothed(levels, 0.0), levels)


@pytest.mark.parametrize("factor", [1.0, 1.06, 1.25, 2.5, 4.5])
@pytest.mark.parametrize("shape", [(32, 32), (45, 60)])
def test_zooming_is_scipys_trimmed_about_its_middle(shape: tuple[int, int], factor: float) -> None:
    levels = RNG.uniform(0, 255, (3, *shape)).astype(np.float32)
    part = levels[:, 3:23, 5:35]
    whole = ndimage.zoom(part.astype(float), (1, factor, factor), order=1)
    found = magnified(torch.from_numpy(part)[None], factor, 20, 30)[0].numpy()
    top, left = (whole.shape[1] - 20) // 2, (whole.shape[2] - 30) // 2
    np.testing.assert_allclose(found, whole[:, top : top + 20, left : left + 30], atol=1e-3)
    assert zoomed(torch.from_numpy(levels)[None], factor).shape == (1, *levels.shape)


def test_8_bit_values_are_zoomed_as_levels_and_rounded() -> None:
    image = torch.from_numpy(RNG.integers(0, 256, (1, 3, 40, 52), dtype=np.uint8))
    exact = zoomed(image.float(), 1.13)
    apart = zoomed(image.contiguous(memory_format=torch.channels_last), 1.13) - exact
    assert apart.abs().max() <= 1  # rounded once a direction
    assert abs(float(apart.mean())) < 0.12  # halves are rounded up


def test_zooming_by_one_changes_nothing() -> None:
    levels = torch.rand((1, 3, 20, 31), generator=torch.Generator().manual_seed(0))
    assert torch.equal(zoomed(levels, 1.0), levels)


def test_zoom_blur_is_the_mean_of_the_image_and_its_views() -> None:
    image = RNG.integers(0, 256, (3, 32, 32), dtype=np.uint8)
    views = [zoomed(torch.from_numpy(image.astype(np.float32))[None], factor)[0].numpy() for factor in (1.0, 1.1, 1.2)]
    made = ZoomBlur(1.25, 0.1).apply(image, RNG)
    expected = (image + sum(views)) / 4
    assert np.abs(made + 0.5 - expected).max() < 1.3
    assert (made + 0.5 - expected).mean() == pytest.approx(0, abs=0.2)


def test_a_hard_disc_is_the_points_within_its_radius() -> None:
    kernel = disc(3, 0.1)
    assert kernel.shape == (7, 7)
    assert (kernel > 0.01).sum() == 29  # Gauss's circle problem: 29 integer points within radius 3
    assert kernel[3, 3] == pytest.approx(1 / 29)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel.T)
    np.testing.assert_allclose(kernel, kernel[::-1])


def test_a_soft_rim_that_folds_back_weighs_more_than_one() -> None:
    """At radius 8 the grid ends at the rim: of each side's 7 points next to the end, the outer tap returns 6 more than are lost."""
    outer = np.exp(-2) / (1 + 2 * np.exp(-2))
    assert disc(8, 0.5).sum() == pytest.approx(1 + 4 * outer * (7 - 1) / 197)
    assert disc(6, 0.5).sum() == pytest.approx(1)


def test_a_disc_below_one_pixel_is_its_softening() -> None:
    kernel, tap = disc(0.3, 0.4), np.exp(-1 / (2 * 0.4**2))
    assert kernel.shape == (3, 3)
    assert kernel[1, 1] == pytest.approx(1 / (1 + 2 * tap) ** 2)
    assert kernel[0, 0] == pytest.approx((tap / (1 + 2 * tap)) ** 2)


@pytest.mark.parametrize(("radius", "softness"), [(0.3, 0.4), (3, 0.1), (8, 0.5), (10, 0.5)])
def test_defocus_is_a_convolution_mirrored_at_the_border(radius: float, softness: float) -> None:
    image = RNG.integers(0, 256, (3, 40, 33), dtype=np.uint8)
    theirs = np.stack([ndimage.correlate(channel.astype(float), disc(radius, softness), mode="mirror") for channel in image])
    assert np.abs(DefocusBlur(radius, softness).apply(image, RNG).astype(int) - quantised(theirs)).max() <= 1
    assert (DefocusBlur(radius, softness).apply(image, RNG) == quantised(theirs)).mean() > 0.999


@pytest.mark.parametrize("corruption", [GaussianBlur(2), DefocusBlur(3, 0.1), DefocusBlur(6, 0.5), ZoomBlur(1.2, 0.02)])
def test_a_plain_image_has_nothing_to_blur(corruption: GaussianBlur) -> None:
    plain = np.broadcast_to(np.array([0, 101, 255], np.uint8)[:, None, None], (3, 48, 40)).copy()
    np.testing.assert_array_equal(corruption.apply(plain, RNG), plain)
