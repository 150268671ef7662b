"""Where the objects are: boxes from a file, for the pointing game."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from efficient360.errors import SettingsError
from efficient360.explaining.grid import Grid

COLUMNS = ("id", "left", "top", "right", "bottom")

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the image that the model sees."""
Regions = Mapping[str, Sequence[Box]]
"""Boxes by example id."""


def read_regions(path: Path) -> Regions:
    """The boxes of a CSV file with the columns id, left, top, right, bottom; an example may have several.

    Raises:
        SettingsError: No such file, other columns, or a box that is none (``bad-regions``).
    """
    hint = f"give a CSV file with the columns {','.join(COLUMNS)}, edges as shares of the image that the model sees, left < right, top < bottom"
    if not path.is_file():
        raise SettingsError("bad-regions", f"there is no file of regions {path}", hint)
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
    return found


def _box(edges: Sequence[str | None]) -> Box | None:
    try:
        left, top, right, bottom = (float(edge or "") for edge in edges)
    except ValueError:
        return None
    return (left, top, right, bottom) if 0 <= left < right <= 1 and 0 <= top < bottom <= 1 else None


def pointed(values: Tensor, grid: Grid, ids: Sequence[str], regions: Regions) -> Tensor:
    """Whether the centre of each image's highest cell lies in one of its boxes, bool ``(B,)``; ``False`` where it has none.

    Args:
        values: ``(B, cells)``.
        grid: The cells.
        ids: Example ids, length ``B``.
        regions: Boxes by id.
    """
    return torch.tensor([_hit(int(cell), grid, regions.get(name, ())) for cell, name in zip(values.argmax(1).tolist(), ids, strict=True)])


def _hit(cell: int, grid: Grid, boxes: Sequence[Box]) -> bool:
    row, column = divmod(cell, grid.columns)
    x, y = (column + 0.5) / grid.columns, (row + 0.5) / grid.rows
    return any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in boxes)
