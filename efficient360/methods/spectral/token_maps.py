"""Maps of tokens: how a tensor lays them out (a sequence behind class and register tokens, channels first or last), and the maps that each block outputs."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from torch import Tensor, nn

from efficient360.models.view.calls import Tap, first_tensor, tapped
from efficient360.models.view.protocol import ViTView

ASPECT_TOLERANCE: Final = 0.2
"""Largest difference of the log aspect ratios of map and image: patches that do not divide a non-square image change it slightly."""
PREFIX_COUNTS: Final = tuple(range(17))
"""Numbers of class and register tokens to try if the network does not state one."""

BlockResults = list[tuple[str, Any]]


def grid_of(count: int, aspect: float) -> tuple[int, int] | None:
    """Rows and columns of ``count`` tokens that cover an image; ``None`` if they form no such rectangle.

    Args:
        count: Number of tokens.
        aspect: Height of the image over its width.
    """
    rows = round(math.sqrt(count * aspect))
    if rows < 1 or count % rows:
        return None
    columns = count // rows
    return (rows, columns) if _same_aspect(rows, columns, aspect) else None


def split_tokens(count: int, aspect: float, prefixes: Iterable[int]) -> tuple[int, int, int] | None:
    """Number of tokens before the map, and the map's rows and columns, for the first of ``prefixes`` that leaves a rectangle of at least 2 × 2 tokens."""
    for prefix in prefixes:
        grid = grid_of(count - prefix, aspect) if count - prefix >= 4 else None
        if grid is not None and min(grid) >= 2:
            return prefix, *grid
    return None


def token_map(output: object, batch_size: int, aspect: float, prefixes: Iterable[int]) -> Tensor | None:
    """The map of tokens in a block's output, ``(B, rows, columns, channels)``; ``None`` where there is none of at least 2 × 2 tokens.

    Args:
        output: ``(B, tokens, channels)``, ``(B, channels, rows, columns)`` or ``(B, rows, columns, channels)``, or a list or tuple with one of them.
        batch_size: ``B``; a tensor of another length holds windows or single patches.
        aspect: Height of the image over its width.
        prefixes: Numbers of class and register tokens to try, the likeliest first.
    """
    candidates = output if isinstance(output, tuple | list) else (output,)
    for candidate in candidates:
        if isinstance(candidate, Tensor) and candidate.is_floating_point() and candidate.ndim in {3, 4} and len(candidate) == batch_size:
            tokens = _from_sequence(candidate, aspect, prefixes) if candidate.ndim == 3 else _from_map(candidate, aspect)
            if tokens is not None:
                return tokens
    return None


def _from_sequence(tokens: Tensor, aspect: float, prefixes: Iterable[int]) -> Tensor | None:
    layout = split_tokens(tokens.shape[1], aspect, prefixes)
    if layout is None:
        return None
    prefix, rows, columns = layout
    return tokens[:, prefix:].reshape(len(tokens), rows, columns, -1)


def _from_map(tensor: Tensor, aspect: float) -> Tensor | None:
    """Channels first if the last two sides have the image's aspect ratio, channels last if the middle ones do."""
    _, first, second, third = tensor.shape
    if min(second, third) >= 2 and _same_aspect(second, third, aspect):
        return tensor.permute(0, 2, 3, 1)
    if min(first, second) >= 2 and _same_aspect(first, second, aspect):
        return tensor
    return None


def _same_aspect(rows: int, columns: int, aspect: float) -> bool:
    if aspect == 1:
        return rows == columns
    return abs(math.log(rows / columns / aspect)) <= ASPECT_TOLERANCE


def prefix_counts(network: nn.Module, view: ViTView) -> Sequence[int]:
    """Numbers of class and register tokens to try: the one that was found or that the network states first."""
    if view.tokens is not None:
        return (view.tokens.prefix, *PREFIX_COUNTS)
    stated: Any = getattr(network, "num_prefix_tokens", None)
    return (int(stated), *PREFIX_COUNTS) if isinstance(stated, int) else PREFIX_COUNTS


def candidate_blocks(network: nn.Module) -> Sequence[tuple[str, nn.Module]]:
    """Modules that may be blocks, by dotted name: numbered modules of at least two weights. Stages are among them; a forward pass tells them apart."""
    return [(name, module) for name, module in network.named_modules() if name.rpartition(".")[2].isdigit() and _weight_count(module) >= 2]


def _weight_count(module: nn.Module) -> int:
    return sum(parameter.ndim >= 2 for parameter in module.parameters())


@contextmanager
def record_blocks(network: nn.Module, images: Tensor, view: ViTView, measure: Callable[[Tensor], Any]) -> Iterator[BlockResults]:
    """Collect the names of the blocks and ``measure`` of each one's map of tokens during the forward passes inside, in order.

    A block is the innermost numbered module that outputs a map: within MobileViT's stages the transformer works on pieces of patches, so
    the whole stage counts as one block. Blocks that have another name, or are a bare list of modules that returns nothing itself, are those of
    the view. Maps are not kept.

    Args:
        network: Any network of blocks.
        images: The input of the forward passes, ``(B, 3, H, W)``.
        view: Of the network.
        measure: Called with a map ``(B, rows, columns, channels)``, at least 2 × 2.
    """
    results: BlockResults = []
    prefixes, aspect = prefix_counts(network, view), images.shape[2] / images.shape[3]

    def add(name: str, output: Any) -> None:
        """Measure a block's map, unless a block inside it was measured."""
        if any(inner.startswith(f"{name}.") for inner, _ in results):
            return
        tokens = _by_layout(output, view, len(images))
        tokens = token_map(output, len(images), aspect, prefixes) if tokens is None else tokens
        if tokens is not None:
            results.append((name, measure(tokens)))

    def hook_of(name: str) -> Callable[[nn.Module, Any, Any], None]:
        """A hook that knows the block's name."""
        return lambda _module, _inputs, output: add(name, output)

    candidates = candidate_blocks(network)
    own = _further_blocks(view, [name for name, _ in candidates])
    hooks = [module.register_forward_hook(hook_of(name)) for name, module in candidates if not any(f"{name}.".startswith(f"{block}.") for block in own)]
    try:
        with tapped(network, list(own.values()), lambda index, tokens: add(list(own)[index], tokens)):
            yield results
    finally:
        for hook in hooks:
            hook.remove()


def _further_blocks(view: ViTView, candidates: Sequence[str]) -> dict[str, Tap]:
    """The view's blocks that are in no candidate but a wrapper of all blocks, or that return nothing themselves, and where their tokens leave them."""
    wrappers = {name for name in candidates if name not in view.blocks and all(block.startswith(f"{name}.") for block in view.blocks)}
    held = {block for block in view.blocks for name in candidates if name not in wrappers and f"{block}.".startswith(f"{name}.")}
    return {block: tap for block, tap in zip(view.blocks, view.places.exits, strict=False) if tap.name != block or block not in held}


def _by_layout(output: object, view: ViTView, batch_size: int) -> Tensor | None:
    """The patches of a sequence whose layout is known, ``(B, rows, columns, channels)``."""
    tensor = first_tensor(output)
    tokens = None if view.tokens is None or tensor is None else view.tokens.tokens(tensor)
    return view.tokens.patches(tokens) if view.tokens is not None and tokens is not None and len(tokens) == batch_size else None
