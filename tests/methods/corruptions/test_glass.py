import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.corruptions.glass import GlassBlur, interior, sources


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
    shifts = rng.integers(-reach, reach, (2, *interior(height, width, reach).shape), dtype=np.int8)
    numbered = np.arange(height * width).reshape(height, width, 1)
    expected = gone_through(numbered, shifts, reach)
    np.testing.assert_array_equal(sources(shifts, height, width, reach).reshape(height, width, 1), expected)


def test_a_long_chain_is_followed_to_its_end() -> None:
    """Every pixel takes its right neighbour, which took its own before: the last one's value runs all along the row."""
    shifts = np.zeros((2, *interior(8, 40, 2).shape), np.int8)
    shifts[1] = 1
    found = sources(shifts, 8, 40, 2).reshape(8, 40)
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
    shifts = rng.integers(-reach, reach, (2, *interior(40, 40, reach).shape), dtype=np.int8)
    rows = sources(shifts, 40, 40, reach) // 40
    assert (np.repeat(np.arange(40), 40) - rows).max() == reach
