"""How a tensor holds a map of tokens: as a sequence behind class and register tokens, channels first, or channels last."""

import math
from collections.abc import Iterable
from typing import Final

from torch import Tensor

SLACK: Final = 0.2
"""How far the logarithm of a map's aspect may be from that of an oblong image: patches that don't divide it bend it a little."""
PREFIXES: Final = tuple(range(17))
"""Numbers of class and register tokens that are tried where the network names none."""


def grid_of(count: int, aspect: float) -> tuple[int, int] | None:
    """Rows and columns of ``count`` tokens that cover an image; ``None`` where they form no such rectangle.

    Args:
        count: Tokens.
        aspect: Height of the image by its width.
    """
    rows = round(math.sqrt(count * aspect))
    if rows < 1 or count % rows:
        return None
    columns = count // rows
    return (rows, columns) if _alike(rows, columns, aspect) else None


def split(count: int, aspect: float, prefixes: Iterable[int]) -> tuple[int, int, int] | None:
    """Tokens before the map, and the map's rows and columns, by the first number of ``prefixes`` that leaves a rectangle of two tokens a side or more."""
    for prefix in prefixes:
        grid = grid_of(count - prefix, aspect) if count - prefix >= 4 else None
        if grid is not None and min(grid) >= 2:
            return prefix, *grid
    return None


def map_of(output: object, size: int, aspect: float, prefixes: Iterable[int]) -> Tensor | None:
    """The map of tokens that a block gave out, ``(B, rows, columns, channels)``; ``None`` where it holds none of at least 2 × 2 tokens.

    Args:
        output: ``(B, tokens, channels)``, ``(B, channels, rows, columns)`` or ``(B, rows, columns, channels)``, or a list or tuple with one of them.
        size: ``B``; a tensor of another length holds windows or single patches.
        aspect: Height of the image by its width.
        prefixes: Numbers of class and register tokens to try, the likeliest first.
    """
    parts = output if isinstance(output, tuple | list) else (output,)
    for part in parts:
        if isinstance(part, Tensor) and part.is_floating_point() and part.ndim in {3, 4} and len(part) == size:
            found = _from_sequence(part, aspect, prefixes) if part.ndim == 3 else _from_map(part, aspect)
            if found is not None:
                return found
    return None


def _from_sequence(tokens: Tensor, aspect: float, prefixes: Iterable[int]) -> Tensor | None:
    found = split(tokens.shape[1], aspect, prefixes)
    if found is None:
        return None
    prefix, rows, columns = found
    return tokens[:, prefix:].reshape(len(tokens), rows, columns, -1)


def _from_map(tensor: Tensor, aspect: float) -> Tensor | None:
    """Channels first where the last two sides have the image's shape, channels last where the middle ones do."""
    _, first, second, third = tensor.shape
    if min(second, third) >= 2 and _alike(second, third, aspect):
        return tensor.permute(0, 2, 3, 1)
    if min(first, second) >= 2 and _alike(first, second, aspect):
        return tensor
    return None


def _alike(rows: int, columns: int, aspect: float) -> bool:
    if aspect == 1:
        return rows == columns
    return abs(math.log(rows / columns / aspect)) <= SLACK
