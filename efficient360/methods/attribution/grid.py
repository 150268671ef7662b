"""How an image is divided: the grid of cells that receive attributions, and the patch tokens of a vision transformer."""

from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn

from efficient360.errors import Unsupported
from efficient360.models.model import TorchModel
from efficient360.models.view.layout import TokenLayout
from efficient360.models.view.stated import is_from_timm, stated_grid

MAX_CELLS = 16
"""Maximum cells a side: more would cost more forward passes for little more detail."""
MIN_COARSE_CELLS = 4
"""Patches are merged into coarser cells only if at least this many cells a side remain."""
MIN_CELL_PIXELS = 4
"""Minimum cell size in pixels a side, for networks without patches."""


@final
@dataclass(frozen=True)
class Grid:
    """Equal cells that tile an image, numbered row by row.

    Args:
        rows: Number of cell rows.
        columns: Number of cell columns.
        height: Image height in pixels, a multiple of ``rows``.
        width: Image width in pixels, a multiple of ``columns``.
    """

    rows: int
    columns: int
    height: int
    width: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    def sum_per_cell(self, values: Tensor) -> Tensor:
        """Sums over each cell, ``(B, cells)``, of values ``(B, h, w)`` of pixels or patches, ``h`` and ``w`` multiples of the grid."""
        size, h, w = values.shape
        return values.reshape(size, self.rows, h // self.rows, self.columns, w // self.columns).sum((2, 4)).flatten(1)

    def to_pixels(self, values: Tensor) -> Tensor:
        """Cell values ``(B, cells)`` repeated over their pixels, ``(B, 1, H, W)``."""
        shaped = values.reshape(-1, 1, self.rows, self.columns)
        return shaped.repeat_interleave(self.height // self.rows, 2).repeat_interleave(self.width // self.columns, 3)


def patch_grid_size(model: TorchModel) -> tuple[int, int] | None:
    """Rows and columns of the network's patch grid; ``None`` if its tokens show no patches of equal size. What timm's networks state is believed."""
    view = model.view
    if model.stated.tokens is None and is_from_timm(model.network):
        return stated_grid(model.network)
    if view.tokens is not None:
        return view.tokens.rows, view.tokens.columns
    embedding: Any = model.network.get_submodule(view.embedding) if view.embedding and view.attention else None
    if not isinstance(embedding, nn.Conv2d):
        return None
    return model.input_size[1] // int(embedding.kernel_size[0]), model.input_size[2] // int(embedding.kernel_size[1])


def grid_of(model: TorchModel) -> Grid:
    """The grid for a model: its patches, merged into coarser cells if there are more than 16 a side.

    Raises:
        Unsupported: The image size has no such grid.
    """
    _, height, width = model.input_size
    patches = patch_grid_size(model)
    if patches is not None:
        rows, columns = (_coarsened(side) for side in patches)
    else:
        rows, columns = (_largest_divisor(side, min(MAX_CELLS, side // MIN_CELL_PIXELS)) for side in (height, width))
    if min(rows, columns) < 2 or height % rows or width % columns:
        raise Unsupported(
            "no-grid", f"an image of {height} × {width} pixels can't be divided into a grid of equal cells", "use a model with another image size"
        )
    return Grid(rows, columns, height, width)


def _coarsened(patches: int) -> int:
    cells = _largest_divisor(patches, MAX_CELLS)
    return cells if cells >= MIN_COARSE_CELLS else patches


def _largest_divisor(number: int, maximum: int) -> int:
    """The largest divisor of ``number`` up to ``maximum``, 1 if there is none."""
    return next((d for d in range(min(number, maximum), 1, -1) if number % d == 0), 1)


def token_layout(model: TorchModel) -> TokenLayout:
    """How the tokens of a vision transformer stand.

    Raises:
        Unsupported: It has no plain sequence of patch tokens, it could not be found, or its tokens are not the patches that cells are made of
            (``no-tokens``).
    """
    name = type(model.network).__name__
    tokens = model.view.require_tokens(name)
    if patch_grid_size(model) != (tokens.rows, tokens.columns):
        message = f"{name} states no patches, and its {tokens.rows} × {tokens.columns} tokens do not divide into the cells of images of such networks"
        raise Unsupported("no-tokens", message, "use a plain vision transformer, or another attribution method")
    return tokens
