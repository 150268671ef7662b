"""The cells of an image that an explanation ranks: a transformer's patches, or squares of about their size."""

from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from efficient360.errors import Unsupported
from efficient360.models.model import TorchModel

MOST = 16
"""Cells a side at most: more of them cost more passes and tell little more."""
FEWEST = 4
"""Cells a side that a coarser grid must keep; else the patches stay as they are."""
NARROWEST = 4
"""Pixels a side of a cell at least, where the network has no patches."""


@final
@dataclass(frozen=True)
class Grid:
    """Equal cells that cover an image, numbered row by row.

    Args:
        rows: Cells from top to bottom.
        columns: Cells from left to right.
        height: Pixels, a multiple of ``rows``.
        width: Pixels, a multiple of ``columns``.
    """

    rows: int
    columns: int
    height: int
    width: int

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self.rows * self.columns

    def collect(self, values: Tensor) -> Tensor:
        """Sums over each cell, ``(B, cells)``, of values ``(B, h, w)`` at pixels or patches, ``h`` and ``w`` multiples of the grid."""
        size, h, w = values.shape
        return values.reshape(size, self.rows, h // self.rows, self.columns, w // self.columns).sum((2, 4)).flatten(1)

    def spread(self, cells: Tensor) -> Tensor:
        """One value a pixel, ``(B, 1, H, W)``, of one value a cell, ``(B, cells)``."""
        shaped = cells.reshape(-1, 1, self.rows, self.columns)
        return shaped.repeat_interleave(self.height // self.rows, 2).repeat_interleave(self.width // self.columns, 3)


def patches_of(model: TorchModel) -> tuple[int, int] | None:
    """Rows and columns of the patches that the network cuts an image into; ``None`` where it has no patch embedding with a fixed grid."""
    network: Any = model.network
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if isinstance(grid, tuple | list) and len(grid) == 2 else None


def grid_of(model: TorchModel) -> Grid:
    """The grid that a model is explained on: its patches, several to a cell where there are more than 16 a side.

    Raises:
        Unsupported: The image divides into no such grid.
    """
    _, height, width = model.input_size
    patches = patches_of(model)
    if patches is not None:
        rows, columns = (_coarser(side) for side in patches)
    else:
        rows, columns = (_divisor(side, min(MOST, side // NARROWEST)) for side in (height, width))
    if min(rows, columns) < 2 or height % rows or width % columns:
        raise Unsupported(
            "no-grid", f"an image of {height} × {width} pixels divides into no grid of cells that could be explained", "use a model with another image size"
        )
    return Grid(rows, columns, height, width)


def _coarser(side: int) -> int:
    found = _divisor(side, MOST)
    return found if found >= FEWEST else side


def _divisor(side: int, most: int) -> int:
    """The largest divisor of ``side`` up to ``most``, 1 where there is none."""
    return next((d for d in range(min(side, most), 1, -1) if side % d == 0), 1)
