"""How an image is divided: the grid of cells that receive attributions, and the patch tokens of a vision transformer."""

from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from efficient360.errors import Unsupported
from efficient360.models.model import TorchModel

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
    """Rows and columns of the network's patch grid; ``None`` if it has no patch embedding with a fixed grid."""
    network: Any = model.network
    size = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return (int(size[0]), int(size[1])) if isinstance(size, tuple | list) and len(size) == 2 else None


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


@final
@dataclass(frozen=True)
class TokenLayout:
    """The token sequence of a vision transformer: class and register tokens first, then the patch tokens row by row.

    Args:
        prefix: Number of tokens before the patch tokens.
        rows: Patch rows.
        columns: Patch columns.
        class_token_pooling: Whether the classifier reads the first token; otherwise it pools the patch tokens.
    """

    prefix: int
    rows: int
    columns: int
    class_token_pooling: bool

    @property
    def count(self) -> int:
        """Number of tokens."""
        return self.prefix + self.rows * self.columns

    def patches(self, values: Tensor) -> Tensor:
        """The patch tokens' values, ``(B, rows, columns)``, of values of all tokens, ``(B, count)``."""
        return values[:, self.prefix :].reshape(-1, self.rows, self.columns)

    def pooled_relevance(self, relevance: Tensor) -> Tensor:
        """Relevance of each patch for what the classifier reads, ``(B, rows, columns)``.

        Args:
            relevance: ``(B, count, count)``, row = output token, column = input token.
        """
        return self.patches(relevance[:, 0] if self.class_token_pooling else relevance[:, self.prefix :].mean(1))


def token_layout(model: TorchModel) -> TokenLayout:
    """The token layout of a timm vision transformer.

    Raises:
        Unsupported: The network is none: it has no patches, no blocks, or no plain sequence of tokens.
    """
    network: Any = model.network
    patches, prefix = patch_grid_size(model), getattr(network, "num_prefix_tokens", None)
    if patches is None or prefix is None or not hasattr(network, "blocks"):
        message = f"{type(network).__name__} has no sequence of patch tokens"
        raise Unsupported("no-tokens", message, "use a plain vision transformer, or another attribution method")
    pooling = getattr(network, "global_pool", "token")
    return TokenLayout(int(prefix), *patches, class_token_pooling=int(prefix) > 0 and pooling == "token")
