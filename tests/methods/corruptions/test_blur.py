import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from efficient360.methods.corruptions.blur import DefocusBlur, GaussianBlur, GlassBlur, ZoomBlur, defocus_kernel, interior_positions, source_positions
from efficient360.methods.corruptions.corruption import quantise
from efficient360.methods.corruptions.filters import zoom_in

RNG = np.random.default_rng(0)


def test_zoom_blur_is_the_mean_of_the_image_and_its_views() -> None:
    image = RNG.integers(0, 256, (3, 32, 32), dtype=np.uint8)
    views = [zoom_in(torch.from_numpy(image.astype(np.float32))[None], factor)[0].numpy() for factor in (1.0, 1.1, 1.2)]
    made = ZoomBlur(1.25, 0.1).apply(image, RNG)
    expected = (image + sum(views)) / 4
    assert np.abs(made + 0.5 - expected).max() < 1.3
    assert (made + 0.5 - expected).mean() == pytest.approx(0, abs=0.2)


def test_a_hard_disc_is_the_points_within_its_radius() -> None:
    kernel = defocus_kernel(3, 0.1)
    assert kernel.shape == (7, 7)
    assert (kernel > 0.01).sum() == 29  # Gauss's circle problem: 29 integer points within radius 3
    assert kernel[3, 3] == pytest.approx(1 / 29)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel.T)
    np.testing.assert_allclose(kernel, kernel[::-1])


def test_a_soft_rim_that_folds_back_weighs_more_than_one() -> None:
    """At radius 8 the grid ends at the rim: of each side's 7 points next to the end, the outer tap returns 6 more than are lost."""
    outer = np.exp(-2) / (1 + 2 * np.exp(-2))
    assert defocus_kernel(8, 0.5).sum() == pytest.approx(1 + 4 * outer * (7 - 1) / 197)
    assert defocus_kernel(6, 0.5).sum() == pytest.approx(1)


def test_a_disc_below_one_pixel_is_its_softening() -> None:
    kernel, tap = defocus_kernel(0.3, 0.4), np.exp(-1 / (2 * 0.4**2))
    assert kernel.shape == (3, 3)
    assert kernel[1, 1] == pytest.approx(1 / (1 + 2 * tap) ** 2)
    assert kernel[0, 0] == pytest.approx((tap / (1 + 2 * tap)) ** 2)


@pytest.mark.parametrize(("radius", "softness"), [(0.3, 0.4), (3, 0.1), (8, 0.5), (10, 0.5)])
def test_defocus_is_a_convolution_mirrored_at_the_border(radius: float, softness: float) -> None:
    image = RNG.integers(0, 256, (3, 40, 33), dtype=np.uint8)
    theirs = np.stack([ndimage.correlate(channel.astype(float), defocus_kernel(radius, softness), mode="mirror") for channel in image])
    assert np.abs(DefocusBlur(radius, softness).apply(image, RNG).astype(int) - quantise(theirs)).max() <= 1
    assert (DefocusBlur(radius, softness).apply(image, RNG) == quantise(theirs)).mean() > 0.999


@pytest.mark.parametrize("corruption", [GaussianBlur(2), DefocusBlur(3, 0.1), DefocusBlur(6, 0.5), ZoomBlur(1.2, 0.02)])
def test_a_plain_image_has_nothing_to_blur(corruption: GaussianBlur) -> None:
    plain = np.broadcast_to(np.array([0, 101, 255], np.uint8)[:, None, None], (3, 48, 40)).copy()
    np.testing.assert_array_equal(corruption.apply(plain, RNG), plain)


def gone_through(image: np.ndarray, shifts: np.ndarray, reach: int) -> np.ndarray:
    """One pass as the reference writes it, over an image (H, W, C): an exchange of two views."""
    x = image.copy()
    height, width, _ = x.shape
    for h in range(height - reach, reach, -1):
        for w in range(width - reach, reach, -1):
            dy, dx = shifts[:, h - reach - 1, w - reach - 1]
            x[h, w], x[h + dy, w + dx] = x[h + dy, w + dx], x[h, w]
    return x


@given(st.integers(12, 20), st.integers(12, 20), st.integers(1, 4), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_following_all_chains_at_once_is_going_through_one_by_one(height: int, width: int, reach: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shifts = rng.integers(-reach, reach, (2, *interior_positions(height, width, reach).shape), dtype=np.int8)
    numbered = np.arange(height * width).reshape(height, width, 1)
    expected = gone_through(numbered, shifts, reach)
    np.testing.assert_array_equal(source_positions(shifts, height, width, reach).reshape(height, width, 1), expected)


def test_a_long_chain_is_followed_to_its_end() -> None:
    """Every pixel takes its right neighbour, which took its own before: the last one's value runs all along the row."""
    shifts = np.zeros((2, *interior_positions(8, 40, 2).shape), np.int8)
    shifts[1] = 1
    found = source_positions(shifts, 8, 40, 2).reshape(8, 40)
    assert (found[3, 3:39] == 3 * 40 + 39).all()
    assert found[3, 2] == 3 * 40 + 2


def test_two_passes_without_a_blur_only_move_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 32, 30), dtype=np.uint8)
    made = GlassBlur(0.0, 2, 2).apply(image, np.random.default_rng(1))
    colours = {tuple(colour) for colour in image.reshape(3, -1).T.tolist()}
    assert {tuple(colour) for colour in made.reshape(3, -1).T.tolist()} <= colours
    assert (made != image).any()


@pytest.mark.parametrize("reach", [1, 4])
def test_no_pixel_comes_from_farther_than_its_reach_in_rows_above(reach: int) -> None:
    rng = np.random.default_rng(0)
    shifts = rng.integers(-reach, reach, (2, *interior_positions(40, 40, reach).shape), dtype=np.int8)
    rows = source_positions(shifts, 40, 40, reach) // 40
    assert (np.repeat(np.arange(40), 40) - rows).max() == reach
