"""Objects marked by masks, from a folder of PNG images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from efficient360.errors import SettingsError
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.region import Cover, Region

NAMED = "name each mask as its example's id and .png, in folders where the id has slashes, characters that no file name may have as %XX"


@final
@dataclass(frozen=True)
class Mask(Region):
    """A PNG image of the shape of the image that the model sees, of any size: object where a pixel's number is not 0, or its colour not black.

    Args:
        file: Read when it is asked about.
    """

    file: Path

    def over(self, grid: Grid) -> Cover:
        """Shares of pixels, each pixel of the model's image taking the nearest of the mask."""
        pixels = self._pixels()
        height, width = pixels.shape
        if abs(width * grid.height - height * grid.width) >= max(grid.height, grid.width):  # over a pixel from the same shape
            message = f"the mask {self.file} has {width} × {height} pixels, and the model sees images of {grid.width} × {grid.height}"
            raise SettingsError("bad-regions", message, "crop and resize masks as the images are before the model sees them; any size of that shape will do")
        seen = pixels[_nearest(grid.height, height)][:, _nearest(grid.width, width)]
        cells = seen.reshape(grid.rows, grid.height // grid.rows, grid.columns, grid.width // grid.columns)
        centres = cells[:, cells.shape[1] // 2, :, cells.shape[3] // 2]
        return Cover(cells.mean((1, 3)).ravel(), centres.ravel())

    def _pixels(self) -> NDArray[np.bool_]:
        """Which pixels are object, bool ``(height, width)``."""
        try:
            with Image.open(self.file, formats=["PNG"]) as image:
                bands = image.getbands()
                pixels: NDArray[np.bool_] = np.asarray(image) != 0
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = "it is no PNG image" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
            raise SettingsError("bad-regions", f"the mask {self.file} can't be read: {reason}", "write it again, as a PNG image") from error
        if pixels.ndim == 2:
            return pixels
        colours = np.asarray(pixels[:, :, [band != "A" for band in bands]].any(2))
        return colours & pixels[:, :, -1] if bands[-1] == "A" else colours  # what is transparent has no colour


def _nearest(pixels: int, of: int) -> NDArray[np.int64]:
    """Which of ``of`` pixels lies nearest to each of ``pixels`` that cover the same length."""
    return (2 * np.arange(pixels) + 1) * of // (2 * pixels)


def read_masks(folder: Path) -> Mapping[str, Mask]:
    """The masks of a folder and its folders, by example id: the path below ``folder`` without ``.png``, any %XX decoded.

    Ids are read from the names of files and no file name is made of an id, so an id that would lead out of the folder leads nowhere.

    Raises:
        SettingsError: No PNG in it, or two for one example (``bad-regions``).
    """
    found: dict[str, Mask] = {}
    for file in masks_in(folder):
        example = unquote(file.relative_to(folder).with_suffix("").as_posix())
        if example in found:
            raise SettingsError("bad-regions", f"{found[example].file} and {file} are both masks of the example {example}", "keep one mask an example")
        found[example] = Mask(file)
    if not found:
        raise SettingsError("bad-regions", f"the folder of regions {folder} holds no PNG masks", NAMED)
    return found


def masks_in(folder: Path) -> list[Path]:
    """The PNG files of a folder and its folders, in the order of their names."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".png" and file.is_file())
