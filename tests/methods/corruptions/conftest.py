from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efficient360.methods.corruptions import frost


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Five made-up photographs of frost where an installed package would have them; the i-th is filled with 40 · i, its left half black."""
    folder = tmp_path / "frost"
    folder.mkdir()
    for i, name in enumerate(frost.FILES, 1):
        pixels = np.full((60, 90, 3), 40 * i, np.uint8)
        pixels[:, :45] = 0
        Image.fromarray(pixels).save(folder / name, quality=100)
    monkeypatch.setattr(frost, "photograph_folder", lambda: folder)
    frost.textures.cache_clear()
    yield folder
    frost.textures.cache_clear()


@pytest.fixture
def no_photographs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(frost, "photograph_folder", lambda: None)
    frost.textures.cache_clear()
    yield
    frost.textures.cache_clear()


@pytest.fixture(scope="session")
def scene() -> np.ndarray:
    """A smooth coloured image with an edge and a black and a white corner, uint8 (3, 48, 64)."""
    y, x = np.mgrid[0:48, 0:64] / 48
    channels = [120 + 90 * np.sin(5 * x), 110 + 80 * np.cos(4 * y + x), 128 + 60 * np.sin(7 * x * y)]
    image = np.stack(channels).clip(0, 255).astype(np.uint8)
    image[:, 20:40, 30:50] //= 3
    image[:, :6, :6], image[:, -6:, -6:] = 0, 255
    return image
