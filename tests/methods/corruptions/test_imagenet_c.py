import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.corruptions.corruption import example_generator, quantise
from efficient360.methods.corruptions.imagenet_c import (
    CIFAR_C,
    COMMON,
    EXTRA,
    IMAGENET_C,
    TABLES,
    CorruptionSetting,
    corrupt_image,
    corrupted_batches,
    resolve_table,
)

ALL = [(table, name) for table in TABLES for name in (*COMMON, *EXTRA)]
GROWING = [
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "defocus_blur",
    "gaussian_blur",
    "motion_blur",
    "zoom_blur",
    "fog",
    "brightness",
    "contrast",
    "frost",
    "jpeg_compression",
    "pixelate",
]


def image_of(height: int, width: int) -> np.ndarray:
    """Stripes and noise in three colours."""
    rng = np.random.default_rng(height * width)
    stripes = 60 + 120 * (np.arange(width) // 5 % 2)
    return np.clip(stripes + rng.normal(0, 12, (3, height, width)) + np.array([0, 20, 40])[:, None, None], 0, 255).astype(np.uint8)


@pytest.mark.usefixtures("photographs")
@pytest.mark.parametrize(("table", "name"), ALL)
@pytest.mark.parametrize("shape", [(32, 32), (40, 56)])
def test_it_gives_another_image_of_the_same_shape_and_leaves_the_given_one(table: str, name: str, shape: tuple[int, int]) -> None:
    image = image_of(*shape)
    before = image.copy()
    for severity, corruption in enumerate(TABLES[table][name], 1):
        made = corruption.apply(image, example_generator(0, "a", name, severity))
        assert (made.dtype, made.shape) == (np.uint8, image.shape)
        np.testing.assert_array_equal(image, before)
        np.testing.assert_array_equal(made, corruption.apply(image, example_generator(0, "a", name, severity)))
    assert (made != image).any()


@pytest.mark.usefixtures("photographs")
@pytest.mark.parametrize("name", [*COMMON, *EXTRA])
def test_any_size_up_to_518(name: str) -> None:
    image = image_of(518, 518)
    made = IMAGENET_C[name][2].apply(image, example_generator(0, "a", name, 3))
    assert made.shape == image.shape


@pytest.mark.usefixtures("photographs")
@pytest.mark.parametrize(("table", "name"), [(table, name) for table, name in ALL if name in GROWING])
def test_a_higher_severity_lies_farther_from_the_image(table: str, name: str) -> None:
    image = image_of(64, 64)
    far = []
    for corruption in TABLES[table][name]:
        made = [corruption.apply(image, example_generator(0, str(i), name, 0)).astype(int) for i in range(12)]  # the same draws at every severity
        far.append(np.mean([np.abs(one - image).mean() for one in made]))
    assert all(later > 0.97 * earlier for earlier, later in itertools.pairwise(far)), far
    assert far[-1] > 1.05 * far[0]


def test_nineteen_corruptions_of_five_severities_in_the_order_of_the_paper() -> None:
    assert COMMON == (
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "snow",
        "frost",
        "fog",
        "brightness",
        "contrast",
        "elastic_transform",
        "pixelate",
        "jpeg_compression",
    )
    assert EXTRA == ("speckle_noise", "gaussian_blur", "spatter", "saturate")
    assert set(CIFAR_C) == set(IMAGENET_C)
    for table in TABLES.values():
        for name in (*COMMON, *EXTRA):
            assert len(set(table[name])) == 5, name


@pytest.mark.parametrize(
    ("table", "size", "expected"),
    [("auto", (32, 32), "cifar-c"), ("auto", (64, 48), "cifar-c"), ("auto", (65, 32), "imagenet-c"), ("imagenet-c", (32, 32), "imagenet-c")],
)
def test_the_strengths_for_small_images_are_those_of_cifar(table: str, size: tuple[int, int], expected: str) -> None:
    assert resolve_table(table, *size) == expected


def test_levels_are_truncated_but_not_for_a_rounding_error() -> None:
    levels = np.array([-3, 0, 99.9, 99.99999, 100, 254.5, 255.2, 1e6])
    assert quantise(levels).tolist() == [0, 0, 99, 100, 100, 254, 255, 255]


def test_the_generator_depends_on_seed_example_corruption_and_severity() -> None:
    drawn = {
        example_generator(*what).integers(2**60)
        for what in [(0, "a", "fog", 1), (1, "a", "fog", 1), (0, "b", "fog", 1), (0, "a", "snow", 1), (0, "a", "fog", 2)]
    }
    assert len(drawn) == 5
    assert example_generator(0, "a", "fog", 1).integers(2**60) == example_generator(0, "a", "fog", 1).integers(2**60)


SETTINGS = [CorruptionSetting(name, severity, "cifar-c") for name in (*COMMON, *EXTRA) for severity in (1, 4) if name != "frost"]
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)).float() / 255
IDS = [f"test/{i}" for i in range(6)]


def made(order: Sequence[int], size: int, threads: int, seed: int = 0) -> dict[tuple[str, str, int], bytes]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = {}
        for start in range(0, len(order), size):
            part = list(order[start : start + size])
            for setting, images in corrupted_batches(IMAGES[part], [IDS[i] for i in part], SETTINGS, seed):
                for i, image in zip(part, images, strict=True):
                    found[IDS[i], setting.corruption, setting.severity] = image.numpy().tobytes()
        return found
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@given(st.permutations(range(6)), st.integers(1, 6), st.sampled_from([1, 2, 3]))
@settings(max_examples=8, deadline=None)
def test_order_batches_and_threads_change_nothing(order: list[int], size: int, threads: int) -> None:
    assert made(order, size, threads) == made(range(6), 6, 1)


def test_another_seed_or_example_is_corrupted_otherwise() -> None:
    one, other = made(range(2), 2, 1), made(range(2), 2, 1, seed=1)
    assert one["test/0", "gaussian_noise", 1] != other["test/0", "gaussian_noise", 1]
    image = np.full((3, 32, 32), 99, np.uint8)
    setting = CorruptionSetting("gaussian_noise", 1, "cifar-c")
    assert (corrupt_image(image, "a", setting, 0) != corrupt_image(image, "b", setting, 0)).any()


def test_settings_come_in_order_on_the_grid_of_8_bit_values() -> None:
    found = list(corrupted_batches(IMAGES[:2], IDS[:2], SETTINGS, 0))
    assert [setting for setting, _ in found] == SETTINGS
    for _, images in found:
        assert (images.dtype, images.shape) == (torch.float32, (2, 3, 32, 32))
        assert torch.equal((images * 255).round() / 255, images)
        assert 0 <= images.min() <= images.max() <= 1


def test_no_setting_no_batch() -> None:
    assert list(corrupted_batches(IMAGES, IDS, [], 0)) == []


def test_images_off_the_grid_are_rounded_first() -> None:
    shifted = (IMAGES[:1] + 0.3 / 255).clamp(0, 1)
    setting = CorruptionSetting("jpeg_compression", 3, "cifar-c")
    assert torch.equal(next(corrupted_batches(shifted, IDS[:1], [setting], 0))[1], next(corrupted_batches(IMAGES[:1], IDS[:1], [setting], 0))[1])
