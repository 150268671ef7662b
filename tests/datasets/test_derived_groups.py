import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from efficient360.datasets.derived_groups import PROXIES, brightness, contrast, luma, object_scale, standing_out, stroke_width


def picture(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int64)[None]


def bar(width: int, length: int, side: int = 64, ground: int = 20, ink: int = 220) -> np.ndarray:
    image = np.full((side, side), ground)
    image[10 : 10 + length, 20 : 20 + width] = ink
    return picture(image)


def random_images(count: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 3, 24, 16))).float() / 255


def test_luma_is_pillows() -> None:
    images = random_images()
    for image, grey in zip(images, luma(images), strict=True):
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        assert np.abs(np.asarray(Image.fromarray(pixels).convert("L")).astype(int) - grey).max() <= 1  # Pillow's own weights are rounded


def test_brightness_and_contrast_are_mean_and_deviation() -> None:
    grey = luma(random_images())
    assert brightness(grey) == pytest.approx([image.mean() / 255 for image in grey])
    assert contrast(grey) == pytest.approx([image.std() / 255 for image in grey])


def test_a_bar_has_its_area_and_about_its_width() -> None:
    for width in (2, 4, 8):
        grey = bar(width, 50)
        assert object_scale(grey)[0] == width * 50 / 64**2
        assert stroke_width(grey)[0] * 64 == pytest.approx(width * 50 / (width + 50))
        assert object_scale(bar(width, 50, ground=220, ink=20))[0] == width * 50 / 64**2


def test_nothing_stands_out_from_a_plain_picture() -> None:
    plain = picture(np.full((16, 16), 90))
    assert (object_scale(plain)[0], stroke_width(plain)[0], contrast(plain)[0]) == (0, 0, 0)


@given(st.lists(st.integers(0, 255), min_size=25, max_size=25))
@settings(deadline=None, max_examples=60)
def test_what_stands_out_is_parted_by_otsus_criterion(values: list[int]) -> None:
    """No other threshold has a larger variance between the two classes."""
    grey = picture(np.array(values).reshape(5, 5))
    border = np.sort(np.concatenate([grey[0, 0], grey[0, -1], grey[0, 1:-1, 0], grey[0, 1:-1, -1]]))
    distance = np.abs(grey[0] - border[len(border) // 2])

    def between(mask: np.ndarray) -> float:
        if mask.all() or not mask.any():
            return 0.0
        return mask.mean() * (1 - mask.mean()) * (distance[mask].mean() - distance[~mask].mean()) ** 2

    best = max(between(distance > threshold) for threshold in range(256))
    assert between(standing_out(grey)[0]) == pytest.approx(best)


@pytest.mark.parametrize("name", PROXIES)
def test_neighbours_in_a_batch_change_nothing(name: str) -> None:
    images = random_images()
    together = PROXIES[name](luma(images))
    assert together.shape == (5,)
    assert [PROXIES[name](luma(images[i : i + 1]))[0] for i in range(5)] == together.tolist()
