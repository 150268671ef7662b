import itertools

import numpy as np
import pytest

from efficient360.methods.corruptions.corruption import generator, quantised
from efficient360.methods.corruptions.tables import CIFAR_C, COMMON, EXTRA, IMAGENET_C, TABLES, suited

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
        made = corruption.apply(image, generator(0, "a", name, severity))
        assert (made.dtype, made.shape) == (np.uint8, image.shape)
        np.testing.assert_array_equal(image, before)
        np.testing.assert_array_equal(made, corruption.apply(image, generator(0, "a", name, severity)))
    assert (made != image).any()


@pytest.mark.usefixtures("photographs")
@pytest.mark.parametrize("name", [*COMMON, *EXTRA])
def test_any_size_up_to_518(name: str) -> None:
    image = image_of(518, 518)
    made = IMAGENET_C[name][2].apply(image, generator(0, "a", name, 3))
    assert made.shape == image.shape


@pytest.mark.usefixtures("photographs")
@pytest.mark.parametrize(("table", "name"), [(table, name) for table, name in ALL if name in GROWING])
def test_a_higher_severity_lies_farther_from_the_image(table: str, name: str) -> None:
    image = image_of(64, 64)
    far = []
    for corruption in TABLES[table][name]:
        made = [corruption.apply(image, generator(0, str(i), name, 0)).astype(int) for i in range(12)]  # the same draws at every severity
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
    assert suited(table, *size) == expected


def test_levels_are_truncated_but_not_for_a_rounding_error() -> None:
    levels = np.array([-3, 0, 99.9, 99.99999, 100, 254.5, 255.2, 1e6])
    assert quantised(levels).tolist() == [0, 0, 99, 100, 100, 254, 255, 255]


def test_the_generator_depends_on_seed_example_corruption_and_severity() -> None:
    drawn = {generator(*what).integers(2**60) for what in [(0, "a", "fog", 1), (1, "a", "fog", 1), (0, "b", "fog", 1), (0, "a", "snow", 1), (0, "a", "fog", 2)]}
    assert len(drawn) == 5
    assert generator(0, "a", "fog", 1).integers(2**60) == generator(0, "a", "fog", 1).integers(2**60)
