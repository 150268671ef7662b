"""Flips and frames by definition; noise, blur, snow, brightness and zoom blur frame by frame against the reference's formulas."""

import colorsys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as vision

from efficient360.methods.corruptions.filters import motion_filter
from efficient360.methods.corruptions.imagenet_p import CIFAR_P, IMAGENET_P, PERTURBATIONS, resolve_table
from efficient360.methods.corruptions.perturbation_sequences import BrightnessSequence, Perturbation
from efficient360.methods.corruptions.weather import Snow

IN_TURN, WITH_FIRST = Perturbation(BrightnessSequence(0, 0), 31), Perturbation(BrightnessSequence(0, 0), 31, "first")


def by_definition(predictions: list[int], noise: bool) -> float:
    """Section 4.2 of the paper, frame by frame: noise against the first, all else against the frame before."""
    flips = 0
    for j in range(1, len(predictions)):
        flips += predictions[j] != predictions[0 if noise else j - 1]
    return flips / (len(predictions) - 1)


def test_flips_by_hand() -> None:
    """Cat cat dog dog cat: two flips in four steps; against the first frame the two dogs."""
    predictions = np.array([[3, 3, 5, 5, 3], [1, 1, 1, 1, 2]])
    assert IN_TURN.flips(predictions).tolist() == [[False, True, False, True], [False, False, False, True]]
    assert WITH_FIRST.flips(predictions).tolist() == [[False, True, True, False], [False, False, False, True]]


@given(arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(2, 12)), elements=st.integers(0, 2)))
def test_flip_probability_is_that_of_a_plain_loop(predictions: np.ndarray) -> None:
    assert IN_TURN.flips(predictions).mean(1).tolist() == pytest.approx([by_definition(row, False) for row in predictions.tolist()])
    assert WITH_FIRST.flips(predictions).mean(1).tolist() == pytest.approx([by_definition(row, True) for row in predictions.tolist()])


def test_fewer_frames_are_the_middle_ones_and_of_noise_the_first() -> None:
    assert IN_TURN.steps() == WITH_FIRST.steps() == range(31)
    assert IN_TURN.steps(5) == range(13, 18)  # frame 15 is the one that nothing was done to
    assert WITH_FIRST.steps(5) == range(5)
    assert IN_TURN.steps(31) == IN_TURN.steps(99) == range(31)


def test_the_tables_have_the_published_lengths_and_only_noise_is_compared_with_the_first() -> None:
    assert {name: perturbation.length for name, perturbation in IMAGENET_P.items() if perturbation.length != 31} == {"translate": 41}
    assert {name: perturbation.length for name, perturbation in CIFAR_P.items() if perturbation.length != 31} == {"motion_blur": 21, "translate": 16}
    assert tuple(CIFAR_P) == PERTURBATIONS
    for table in (IMAGENET_P, CIFAR_P):
        assert [name for name, perturbation in table.items() if perturbation.compared_with == "first"] == ["gaussian_noise", "shot_noise"]


@pytest.mark.parametrize(
    ("table", "size", "found"),
    [("auto", (32, 32), "cifar-p"), ("auto", (64, 65), "imagenet-p"), ("auto", (224, 224), "imagenet-p"), ("cifar-p", (224, 224), "cifar-p")],
)
def test_auto_takes_the_table_that_the_size_is_meant_for(table: str, size: tuple[int, int], found: str) -> None:
    assert resolve_table(table, *size) == found


def frames(table: Mapping[str, Any], name: str, pixels: np.ndarray, steps: range | None = None, seed: int = 0) -> np.ndarray:
    return table[name].effect.frames(pixels, steps or table[name].steps(), np.random.default_rng(seed))


@pytest.mark.parametrize(("table", "sigma", "photons"), [(IMAGENET_P, 0.03, 300), (CIFAR_P, 0.02, 700)])
def test_noise_begins_clean_and_is_as_strong_as_published(table: dict, sigma: float, photons: int) -> None:
    grey = np.full((3, 32, 32), 120, np.uint8)
    for name, spread in (("gaussian_noise", 255 * sigma), ("shot_noise", 255 * (120 / 255 / photons) ** 0.5)):
        made = frames(table, name, grey)
        np.testing.assert_array_equal(made[0], grey)
        assert made.shape == (31, 3, 32, 32)
        assert made[1:].std() == pytest.approx(spread, rel=0.02)
        assert made[1:].mean() == pytest.approx(119.5, abs=0.1)  # truncated to whole levels
        assert len({frame.tobytes() for frame in made}) == 31


def test_fewer_frames_of_noise_are_the_same_frames() -> None:
    grey = np.full((3, 16, 16), 120, np.uint8)
    np.testing.assert_array_equal(frames(CIFAR_P, "shot_noise", grey, range(4)), frames(CIFAR_P, "shot_noise", grey)[:4])


@pytest.mark.parametrize(("table", "step"), [(IMAGENET_P, 0.02), (CIFAR_P, 0.015)])
def test_brightness_is_added_to_the_value_of_hsv(table: dict, step: float) -> None:
    colours = [(0, 0, 0), (255, 255, 255), (200, 10, 60), (3, 90, 91), (128, 128, 128), (250, 251, 7), (1, 0, 2)]
    made = frames(table, "brightness", np.array(colours, np.uint8).T[:, None, :])
    for i in (0, 7, 15, 22, 30):
        for colour, found in zip(colours, made[i, :, 0].T.tolist(), strict=True):
            hue, saturation, value = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
            wanted = colorsys.hsv_to_rgb(hue, saturation, min(max(value + (i - 15) * step, 0), 1))
            assert found == [int(255 * c + 1e-3) for c in wanted]


@pytest.mark.parametrize(("table", "radius", "sigma", "angles"), [(IMAGENET_P, 10, 3, range(-120, 1, 4)), (CIFAR_P, 6, 1.8, range(-180, 1, 9))])
def test_motion_blur_turns_to_the_level(scene: np.ndarray, table: dict, radius: int, sigma: float, angles: range) -> None:
    made = frames(table, "motion_blur", scene)
    assert len(made) == len(angles)
    for frame, angle in zip(made, angles, strict=True):
        np.testing.assert_allclose(frame, motion_filter(scene.astype(np.float32), radius, sigma, angle), atol=1)


@pytest.mark.parametrize("table", [IMAGENET_P, CIFAR_P])
def test_zoom_blur_is_the_mean_of_ever_closer_looks(scene: np.ndarray, table: dict) -> None:
    picture, total = Image.fromarray(scene.transpose(1, 2, 0)), scene.astype(float)
    made = frames(table, "zoom_blur", scene)
    np.testing.assert_array_equal(made[0], scene)
    for i in range(1, 31):
        look = vision.affine(picture, angle=0, translate=[0, 0], scale=1 + 0.004 * i, shear=[0.0], interpolation=InterpolationMode.BILINEAR)
        total += np.asarray(look).transpose(2, 0, 1)
        assert np.abs(made[i].astype(int) - (total / (i + 1)).astype(int)).max() <= 1
    np.testing.assert_array_equal(frames(table, "zoom_blur", scene, range(14, 17)), made[14:17])


@pytest.mark.parametrize(("table", "size", "radius", "fading"), [(IMAGENET_P, 3, 14, 4), (CIFAR_P, 2, 10, 2)])
def test_snow_keeps_its_flakes_while_the_wind_turns(scene: np.ndarray, table: dict, size: int, radius: int, fading: float) -> None:
    made = frames(table, "snow", scene, seed=3)
    flakes = Snow(0.05, 0.3, size, 0.5, radius, fading, 0.85).flakes(48, 64, np.random.default_rng(3))
    levels = scene.astype(float)
    grey = 0.299 * levels[0] + 0.587 * levels[1] + 0.114 * levels[2]
    pale = 0.85 * levels + 0.15 * np.maximum(levels, 1.5 * grey + 127.5)
    for i in (0, 11, 30):
        streaks = np.rint(motion_filter(flakes, radius, fading, 4 * i - 150))
        assert streaks.max() > 0
        np.testing.assert_allclose(made[i], np.clip(pale + streaks + np.rot90(streaks, 2, (1, 2)), 0, 255), atol=1)
