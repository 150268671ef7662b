import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from efficient360.core.thumbnails import data_uri


def _opened(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(32, 32, (96, 96)), (28, 28, (112, 112)), (224, 224, (160, 160)), (96, 96, (96, 96)), (160, 120, (120, 160)), (100, 400, (160, 40)), (1, 2000, (160, 1))],
)
def test_the_longest_side_is_one_to_look_at(height: int, width: int, size: tuple[int, int]) -> None:
    assert _opened(data_uri(torch.zeros(3, height, width))).size == size


def test_every_pixel_of_a_tiny_image_survives_the_magnifying() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    shown = np.asarray(_opened(data_uri(torch.from_numpy(pixels).permute(2, 0, 1) / 255)))
    np.testing.assert_array_equal(shown, pixels.repeat(3, 0).repeat(3, 1))


def test_values_beyond_the_range_are_clipped() -> None:
    shown = np.asarray(_opened(data_uri(torch.tensor([-0.5, 0.5, 1.5])[:, None, None].expand(3, 8, 8))))
    assert shown[0, 0].tolist() == [0, 128, 255]
