import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform

from efficient360.core.batch import Batch
from efficient360.datasets.images import ahead, decode, decoders_for, stack, transform_for
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Preprocessing

RNG = np.random.default_rng(0)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(size: tuple[int, int] = (40, 30), mode: str = "RGB") -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (*size, 3), dtype=np.uint8)).convert(mode)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize(("crop_pct", "crop_mode"), [(0.875, "center"), (1.0, "center"), (1.0, "squash"), (0.9, "border")])
@pytest.mark.parametrize("size", [(40, 30), (24, 24), (24, 30), (12, 12)])
def test_transform_is_timms_own_without_normalisation(interpolation: str, crop_pct: float, crop_mode: str, size: tuple[int, int]) -> None:
    config = Preprocessing((3, 24, 24), MEAN, STD, interpolation, crop_pct, crop_mode)
    image = noise(size)
    reference = create_transform(
        input_size=(3, 24, 24), is_training=False, interpolation=interpolation, mean=MEAN, std=STD, crop_pct=crop_pct, crop_mode=crop_mode
    )(image)
    ours = stack([transform_for(config)(image)])[0]
    normalised = (ours - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    assert torch.allclose(normalised, reference, atol=1e-6)
    assert ours.min() >= 0
    assert ours.max() <= 1


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA", "YCbCr"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = {"CMYK": "TIFF", "YCbCr": "JPEG"}.get(mode, "PNG")
    image = decode(encoded(noise(mode=mode) if mode != "LA" else noise(mode="RGBA").convert("LA"), kind), "x")
    assert image.mode == "RGB"
    assert image.size == (30, 40)


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = Image.fromarray(np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16))
    assert np.abs(np.asarray(decode(encoded(ramp), "x"))[..., 0].ravel().astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation: int) -> None:
    upright = Image.fromarray(np.kron(np.array([[0, 80], [160, 240]], np.uint8), np.ones((16, 16), np.uint8)))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the PIL transposition whose inverse viewers apply
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = np.asarray(decode(encoded(stored, "PNG", exif=exif), "x"))[..., 0]
    assert np.array_equal(seen, np.asarray(upright))


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "no image"), (b"hello", "no image"), (encoded(noise(), "JPEG")[:300], "Truncated"), (encoded(noise())[:80], "")]
)
def test_broken_images_are_named(data: bytes, reason: str) -> None:
    with pytest.raises(DatasetError, match=f"example test/7 can't be read: .*{reason}") as caught:
        decode(data, "test/7")
    assert caught.value.code == "corrupt-image"


def batch(i: int, log: list[int]) -> Batch:
    def load() -> torch.Tensor:
        log.append(i)
        if i == 7:
            raise ValueError("broken")
        return torch.full((1, 3, 2, 2), i)

    return Batch((str(i),), torch.tensor([0]), load, 0)


@pytest.mark.parametrize("decoders", [0, 1, 3, 20])
def test_order_and_images_are_the_same(decoders: int) -> None:
    log: list[int] = []
    seen = [(b.ids[0], b.images[0, 0, 0, 0].item()) for b in ahead((batch(i, log) for i in range(7)), decoders)]
    assert seen == [(str(i), i) for i in range(7)]
    assert sorted(log) == list(range(7))


@pytest.mark.parametrize("decoders", [0, 3])
def test_an_unreadable_image_is_raised(decoders: int) -> None:
    with pytest.raises(ValueError, match="broken"):
        _ = [one.images for one in ahead((batch(i, []) for i in range(9)), decoders)]


def test_no_thread_beside_a_forward_pass_on_the_same_cores() -> None:
    assert decoders_for("cpu") == 0
    assert decoders_for("cuda") >= 1
