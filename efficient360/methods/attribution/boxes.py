"""Objects marked by boxes, from a CSV file."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.errors import SettingsError
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.region import Cover, Region

COLUMNS = ("id", "left", "top", "right", "bottom")

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the image that the model sees."""


@final
@dataclass(frozen=True)
class Boxes(Region):
    """Boxes around the objects of one image; where they overlap, the image is covered once.

    Args:
        boxes: At least one.
    """

    boxes: tuple[Box, ...]

    def over(self, grid: Grid) -> Cover:
        """Exact areas, of the boxes' union."""
        lefts, tops, rights, bottoms = zip(*self.boxes, strict=True)
        # Between two neighbouring edges, of boxes or of cells, each piece of the image is all object or all background.
        across, columns = _pieces(grid.columns, (*lefts, *rights))
        down, rows = _pieces(grid.rows, (*tops, *bottoms))
        shares = rows @ self._inside(across, down).astype(np.float64) @ columns.T
        centres = self._inside((np.arange(grid.columns) + 0.5) / grid.columns, (np.arange(grid.rows) + 0.5) / grid.rows)
        return Cover(shares.clip(0, 1).ravel(), centres.ravel())

    def _inside(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the points at columns ``x`` and rows ``y`` lie in a box, bool ``(len(y), len(x))``; right and bottom edges belong to what comes next."""
        inside = np.zeros((len(y), len(x)), dtype=bool)
        for left, top, right, bottom in self.boxes:
            inside |= ((top <= y) & (y < bottom))[:, None] & ((left <= x) & (x < right))
        return inside


def _pieces(cells: int, edges: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One side of the image, cut at every edge of a cell or box: the middle of each piece, and the share of each cell that it is, ``(cells, pieces)``."""
    cuts = np.unique([*(np.arange(cells + 1) / cells), *edges])
    middles = (cuts[1:] + cuts[:-1]) / 2
    shares = np.zeros((cells, len(middles)))
    shares[(middles * cells).astype(int), np.arange(len(middles))] = np.diff(cuts) * cells
    return middles, shares


def read_boxes(path: Path) -> Mapping[str, Boxes]:
    """The boxes of a CSV file with the columns id, left, top, right, bottom, by example id; an example may have several.

    Raises:
        SettingsError: Other columns, or a box that is none (``bad-regions``).
    """
    hint = f"give a CSV file with the columns {','.join(COLUMNS)}, edges as shares of the image that the model sees, left < right, top < bottom"
    found: dict[str, list[Box]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise SettingsError("bad-regions", f"the file of regions {path} has the columns {','.join(rows.fieldnames or ()) or 'none'}", hint)
        for row in rows:
            box = _box([row[edge] for edge in COLUMNS[1:]])
            if box is None:
                raise SettingsError("bad-regions", f"line {rows.line_num} of {path} is no box: {','.join(str(cell) for cell in row.values())}", hint)
            found.setdefault(row["id"], []).append(box)
    return {example: Boxes(tuple(boxes)) for example, boxes in found.items()}


def _box(edges: Sequence[str | None]) -> Box | None:
    try:
        left, top, right, bottom = (float(edge or "") for edge in edges)
    except ValueError:
        return None
    return (left, top, right, bottom) if 0 <= left < right <= 1 and 0 <= top < bottom <= 1 else None
