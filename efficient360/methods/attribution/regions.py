"""Annotated object regions: bounding boxes from a CSV file, or segmentation masks from a folder of PNG images."""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from efficient360.core.paths import exists, is_folder
from efficient360.core.reading import MEBIBYTE, Reader
from efficient360.errors import SettingsError
from efficient360.methods.attribution.grid import Grid

COLUMNS = ("id", "left", "top", "right", "bottom")
"""Columns of a CSV file of boxes."""
NAMED = "name each mask as its example's id and .png, in folders where the id has slashes, characters that no file name may have as %XX"

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the image that the model sees."""


@final
@dataclass(frozen=True)
class RegionCells:
    """The part of a grid's cells that an image's objects cover.

    Args:
        fractions: Covered fraction of each cell's area, float64 ``(cells,)`` in [0, 1].
        centres: Whether each cell's centre is covered, bool ``(cells,)``.
    """

    fractions: NDArray[np.float64]
    centres: NDArray[np.bool_]


class Region(ABC):
    """The objects of one image, in the image as the model sees it."""

    @abstractmethod
    def on_grid(self, grid: Grid) -> RegionCells:
        """Coverage of a grid's cells.

        Raises:
            SettingsError: The region can't be read, or does not fit the image that the model sees (``bad-regions``).
        """


@final
@dataclass(frozen=True)
class Boxes(Region):
    """Bounding boxes of the objects of one image; the region is their union.

    Args:
        boxes: At least one.
    """

    boxes: tuple[Box, ...]

    def on_grid(self, grid: Grid) -> RegionCells:
        """Exact areas of the boxes' union."""
        lefts, tops, rights, bottoms = zip(*self.boxes, strict=True)
        # Between two neighbouring edges, of boxes or of cells, each segment of the image is all object or all background.
        x, column_weights = _segments(grid.columns, (*lefts, *rights))
        y, row_weights = _segments(grid.rows, (*tops, *bottoms))
        fractions = row_weights @ self._contains(x, y).astype(np.float64) @ column_weights.T
        centres = self._contains((np.arange(grid.columns) + 0.5) / grid.columns, (np.arange(grid.rows) + 0.5) / grid.rows)
        return RegionCells(fractions.clip(0, 1).ravel(), centres.ravel())

    def _contains(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the points at columns ``x`` and rows ``y`` lie in a box, bool ``(len(y), len(x))``; right and bottom edges are exclusive."""
        inside = np.zeros((len(y), len(x)), dtype=bool)
        for left, top, right, bottom in self.boxes:
            inside |= ((top <= y) & (y < bottom))[:, None] & ((left <= x) & (x < right))
        return inside


def _segments(cells: int, edges: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One side of the image, cut at every edge of a cell or box: each segment's midpoint, and its fraction of each cell, ``(cells, segments)``."""
    cuts = np.unique([*(np.arange(cells + 1) / cells), *edges])
    midpoints = (cuts[1:] + cuts[:-1]) / 2
    fractions = np.zeros((cells, len(midpoints)))
    fractions[(midpoints * cells).astype(int), np.arange(len(midpoints))] = np.diff(cuts) * cells
    return midpoints, fractions


@final
@dataclass(frozen=True)
class Mask(Region):
    """A PNG segmentation mask with the aspect ratio of the image that the model sees, at any size; non-zero (not black) pixels are object.

    Args:
        file: Read on demand.
    """

    file: Path

    def on_grid(self, grid: Grid) -> RegionCells:
        """Fractions of pixels; the mask is resized to the model's image by nearest neighbour."""
        pixels = self._pixels()
        height, width = pixels.shape
        if abs(width * grid.height - height * grid.width) >= max(grid.height, grid.width):  # more than a pixel from the same aspect ratio
            message = f"the mask {self.file} has {width} × {height} pixels, and the model sees images of {grid.width} × {grid.height}"
            raise SettingsError(
                "bad-regions", message, "resize and crop masks as the images are before the model sees them; any size of that aspect ratio will do"
            )
        resized = pixels[_nearest(grid.height, height)][:, _nearest(grid.width, width)]
        cells = resized.reshape(grid.rows, grid.height // grid.rows, grid.columns, grid.width // grid.columns)
        centres = cells[:, cells.shape[1] // 2, :, cells.shape[3] // 2]
        return RegionCells(cells.mean((1, 3)).ravel(), centres.ravel())

    def _pixels(self) -> NDArray[np.bool_]:
        """Which pixels are object, bool ``(height, width)``."""
        try:
            with Image.open(self.file, formats=["PNG"]) as image:
                bands = image.getbands()
                pixels: NDArray[np.bool_] = np.asarray(image) != 0
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = "it is not a PNG image" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())
            raise SettingsError("bad-regions", f"the mask {self.file} can't be read: {reason}", "save it again as a PNG image") from error
        if pixels.ndim == 2:
            return pixels
        colours = np.asarray(pixels[:, :, [band != "A" for band in bands]].any(2))
        return colours & pixels[:, :, -1] if bands[-1] == "A" else colours  # transparent pixels are background


def _nearest(size: int, source_size: int) -> NDArray[np.int64]:
    """Index of the nearest of ``source_size`` pixels for each of ``size`` pixels over the same length."""
    return (2 * np.arange(size) + 1) * source_size // (2 * size)


Regions = Mapping[str, Region]
"""By example id."""


def read_regions(path: Path) -> Regions:
    """The boxes of a CSV file, or the masks of a folder.

    Raises:
        SettingsError: The path doesn't exist, or holds no regions (``bad-regions``).
    """
    if is_folder(path):
        return _read_masks(path)
    if not exists(path):
        raise SettingsError("bad-regions", f"there is no file or folder of regions {path}", "give a CSV file of boxes or a folder of PNG masks")
    return _read_boxes(path)


def _read_boxes(path: Path) -> Mapping[str, Boxes]:
    """The boxes of a CSV file with the columns id, left, top, right, bottom, by example id; an example may have several.

    Raises:
        SettingsError: Other columns, or an invalid box (``bad-regions``).
    """
    hint = f"give a CSV file with the columns {','.join(COLUMNS)}, edges as fractions of the image that the model sees, left < right, top < bottom"
    boxes: dict[str, list[Box]] = {}
    reader = Reader(SettingsError, "bad-regions", hint, "file of regions", 1024 * MEBIBYTE)
    rows = csv.DictReader(io.StringIO(reader.read_text(path), newline=""))
    try:
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise reader.refuse(path, f"has the columns {','.join(rows.fieldnames or ()) or 'none'}")
        for row in rows:
            box = _parse_box([row[edge] for edge in COLUMNS[1:]])
            if box is None:
                raise SettingsError("bad-regions", f"line {rows.line_num} of {path} is not a box: {','.join(str(cell) for cell in row.values())}", hint)
            boxes.setdefault(row["id"], []).append(box)
    except csv.Error as error:
        raise reader.refuse(path, f"is no CSV: {error}") from error
    return {example: Boxes(tuple(entries)) for example, entries in boxes.items()}


def _parse_box(edges: Sequence[str | None]) -> Box | None:
    try:
        left, top, right, bottom = (float(edge or "") for edge in edges)
    except ValueError:
        return None
    return (left, top, right, bottom) if 0 <= left < right <= 1 and 0 <= top < bottom <= 1 else None


def _read_masks(folder: Path) -> Mapping[str, Mask]:
    """The masks of a folder and its subfolders, by example id: the path below ``folder`` without ``.png``, any %XX decoded.

    Ids are derived from file names, never file names from ids, so no id can lead out of the folder.

    Raises:
        SettingsError: No PNG in it, or two for one example (``bad-regions``).
    """
    masks: dict[str, Mask] = {}
    for file in _mask_files(folder):
        example = unquote(file.relative_to(folder).with_suffix("").as_posix())
        if example in masks:
            raise SettingsError("bad-regions", f"{masks[example].file} and {file} are both masks of the example {example}", "keep one mask an example")
        masks[example] = Mask(file)
    if not masks:
        raise SettingsError("bad-regions", f"the folder of regions {folder} holds no PNG masks", NAMED)
    return masks


def _mask_files(folder: Path) -> list[Path]:
    """The PNG files of a folder and its subfolders, sorted by path."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".png" and file.is_file())
