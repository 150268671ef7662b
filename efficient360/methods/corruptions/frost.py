"""Frost: photographs of frosted glass blended over the image. The photographs come with another package."""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import final

import numpy as np
import torch
from PIL import Image

from efficient360.errors import Unsupported
from efficient360.methods.corruptions.corruption import ImageCorruption, Pixels, quantise

PACKAGE = "imagecorruptions"
FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
"""The five photographs that ImageNet-C draws from; the package has a sixth that ImageNet-C never draws."""


@final
@dataclass(frozen=True)
class Frost(ImageCorruption):
    """Ice crystals on the lens: a random crop of a random photograph, blended over the image.

    Args:
        kept: Weight of the image.
        ice: Weight of the photograph.
        scale: Size of the photograph relative to the original, before the crop.
    """

    kept: float
    ice: float
    scale: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        """The corrupted image.

        Raises:
            Unsupported: The photographs are not installed.
        """
        _, height, width = pixels.shape
        photograph = textures(self.scale, height, width)[rng.integers(len(FILES))]
        top, left = rng.integers(photograph.shape[1] - height + 1), rng.integers(photograph.shape[2] - width + 1)
        levels = np.multiply(pixels, self.kept, dtype=np.float32)
        levels += np.multiply(photograph[:, top : top + height, left : left + width], self.ice, dtype=np.float32)
        return quantise(levels)


def photograph_folder() -> Path | None:
    """The folder of the photographs, ``None`` where no installed package has them. Imports nothing."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = [] if spec is None else [Path(place) / "frost" for place in spec.submodule_search_locations or ()]
    return next((folder for folder in folders if all((folder / name).is_file() for name in FILES)), None)


@lru_cache(maxsize=4)
def textures(scale: float, height: int, width: int) -> tuple[Pixels, ...]:
    """The photographs at ``scale``, or larger where one would not cover ``(height, width)``.

    Raises:
        Unsupported: They are not installed.
    """
    folder = photograph_folder()
    if folder is None:
        raise Unsupported("no-frost", "frost needs photographs that are not installed", "install the extra: pip install 'efficient360[robustness]'")
    return tuple(_load_scaled(folder / name, scale, height, width) for name in FILES)


def _load_scaled(file: Path, scale: float, height: int, width: int) -> Pixels:
    with Image.open(file) as image:
        full = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    _, rows, columns = full.shape
    scale = max(scale, height / rows, width / columns)
    if scale == 1:
        return np.ascontiguousarray(full)
    source = torch.from_numpy(full.astype(np.float32))[None]
    size = (max(height, round(rows * scale)), max(width, round(columns * scale)))
    # Without antialiasing, as OpenCV's default in the reference.
    resized = torch.nn.functional.interpolate(source, size=size, mode="bilinear", align_corners=False)[0]
    pixels: Pixels = np.rint(resized.numpy()).astype(np.uint8)
    return pixels
