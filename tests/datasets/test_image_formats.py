"""A closed list of formats, told by content; nothing started, nothing larger than can be right decoded."""

import io
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

from efficient360.datasets.image_formats import FORMATS, open_image
from efficient360.datasets.images import decode
from efficient360.errors import DatasetError

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n0 0 8 8 rectfill\nshowpage\n"


def saved(kind: str, image: Image.Image | None = None) -> bytes:
    stream = io.BytesIO()
    (image or Image.new("RGB", (8, 8))).save(stream, kind)
    return stream.getvalue()


def png_that_says(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = saved("PNG")
    return data[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_of_the_list_is_read(kind: str) -> None:
    assert open_image(saved(kind)).size == (8, 8)


def test_vector_graphics_start_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*arguments: object, **_: object) -> None:
        raise AssertionError(f"started {arguments}")

    for name in ("Popen", "run", "call", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, name, started)
    with pytest.raises(DatasetError, match="no image in one of the formats") as caught:
        decode(EPS, "test/1.png")
    assert caught.value.code == "corrupt-image"


@pytest.mark.parametrize("kind", ["PCX", "TGA", "ICO", "PDF"])
def test_formats_outside_the_list_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="formats that are read"):
        open_image(saved(kind))


@pytest.mark.parametrize("size", [(100_000, 100_000), (8000, 8000), (1, 2**31 - 1)])
def test_a_header_that_says_too_much_is_refused_before_decoding(size: tuple[int, int]) -> None:
    with pytest.raises(DatasetError, match="more than can be right|pixels"):
        decode(png_that_says(*size), "bomb")


def test_a_large_photograph_is_no_bomb() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2100, 2100, 3), dtype=np.uint8)
    assert open_image(saved("JPEG", Image.fromarray(noise))).size == (2100, 2100)


@pytest.mark.parametrize(("top", "white"), [(1.0, None), (255.0, 255.0)])
def test_floating_point_is_scaled_by_the_white_of_its_split(top: float, white: float | None) -> None:
    grey = np.linspace(0, top, 64, dtype=np.float32).reshape(8, 8)
    seen = np.asarray(decode(saved("TIFF", Image.fromarray(grey)), "x", white))[..., 0]
    assert np.abs(seen.astype(float) - grey / top * 255).max() <= 0.5


@pytest.mark.parametrize("values", [[0.0, 255.0], [-3.0, 0.5], [0.0, float("nan")]])
def test_values_beyond_white_are_refused_not_clipped(values: list[float]) -> None:
    with pytest.raises(DatasetError, match="holds values from"):
        decode(saved("TIFF", Image.fromarray(np.array([values], dtype=np.float32))), "x")
