"""The token layout of a network, found by what its tokens depend on: which change with the image, which patch each shows, and which the classifier reads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, final

import torch
from torch import Tensor, nn

from efficient360.models.view.calls import Tap, tapped
from efficient360.models.view.layout import TokenLayout
from efficient360.models.view.trace import Trace, seeded_images

PROBES: Final = 2
"""Images of a pass that tells the batch from the tokens."""
_CHUNK: Final = 8
"""Images of a pass up to the first block."""
_UNMOVED: Final = 1e-6
"""Share of the largest change below which a token has not changed."""
_AGREE: Final = 0.95
"""Correlation above which tokens follow a grid: patches that overlap blur it, another order breaks it (Z-order has 0.86 on 8 × 8)."""

Forward = Callable[[Tensor], Tensor]


@final
class _Reached(Exception):
    """No error: it ends a pass whose rest is not needed, and carries the tokens that were waited for."""

    def __init__(self, tokens: Tensor) -> None:
        super().__init__()
        self.tokens = tokens


def find_layout(
    network: nn.Module, forward: Forward, seen: Trace, entrances: Sequence[Tap], last_exit: Tap, size: tuple[int, int, int], device: str
) -> TokenLayout | str:
    """The token layout that all blocks share, or why there is none.

    Args:
        network: What the taps belong to.
        forward: Images in [0, 1] to logits through the network.
        seen: A pass of it on :data:`PROBES` images.
        entrances: Where the tokens enter each block.
        last_exit: Where they leave the last one.
        size: ``(3, H, W)``.
        device: Where it runs.
    """
    shapes = {event.shape for event in seen.events if event.tap in entrances and not event.attention}
    if len(shapes) != 1 or len(first := next(iter(shapes))) != 3:
        return "its blocks do not all work on one sequence of tokens"
    batch_first = first[0] == PROBES
    count = first[1 if batch_first else 0]
    if (first[0] == PROBES) == (first[1] == PROBES) or count < 4:
        return f"what enters its blocks, {tuple(first)} for {PROBES} images, is no sequence of tokens"

    def changes(images: Iterator[Tensor]) -> Tensor:
        """How far each token that enters the first block is from that of the first image, ``(B - 1, count)``; 0 below a small share of the largest."""
        base: Tensor | None = None
        parts = []
        while part := list(islice(images, _CHUNK)):
            entering = _entering(network, forward, entrances[0], torch.stack(part))
            tokens = entering if batch_first else entering.transpose(0, 1)
            base = tokens[:1] if base is None else base
            parts.append((tokens - base).norm(dim=2).double())
        distance = torch.cat(parts)[1:]
        return torch.where(distance > _UNMOVED * distance.max(), distance, 0).cpu()

    moved = changes(iter(seeded_images(2, size, device)))[0] > 0
    indices = moved.nonzero().flatten().tolist()
    if not indices or len(indices) != indices[-1] - indices[0] + 1:
        return "the tokens that depend on the image do not stand side by side"
    for layout in _candidates(indices[0], len(indices), count, _map_shapes(seen, entrances[0]), size):
        placed = _placed(changes, layout, size, device)
        if placed is not None:
            found = replace(placed, batch_first=batch_first)
            return replace(found, class_token=_class_token(network, forward, last_exit, found, size, device))
    return f"its {len(indices)} tokens that depend on the image do not follow a grid of patches"


def _entering(network: nn.Module, forward: Forward, tap: Tap, images: Tensor) -> Tensor:
    def stop(_index: int, tokens: Tensor) -> Tensor:
        raise _Reached(tokens)

    try:
        with torch.no_grad(), tapped(network, [tap], stop):
            forward(images)
    except _Reached as reached:
        return reached.tokens
    raise RuntimeError(f"{tap.name} was not reached")


def _map_shapes(seen: Trace, until: Tap) -> list[tuple[int, int]]:
    """Sides of the maps that modules returned before the first block, the last first: of ``(B, D, rows, columns)``, then ``(B, rows, columns, D)``."""
    before = [event.shape for event in seen.events[: next(i for i, event in enumerate(seen.events) if event.tap == until)]]
    maps = [shape for shape in reversed(before) if len(shape) == 4]
    return [(shape[2], shape[3]) for shape in maps] + [(shape[1], shape[2]) for shape in maps]


def _candidates(first: int, moving: int, count: int, maps: Sequence[tuple[int, int]], size: tuple[int, int, int]) -> Iterator[TokenLayout]:
    """Layouts of this many patches: grids that a module returned, then square patches, then any that divide the image."""
    _, height, width = size
    divisors = [(moving // columns, columns) for columns in range(1, moving + 1) if moving % columns == 0]
    square = [grid for grid in divisors if height * grid[1] == width * grid[0]]
    dividing = [(rows, columns) for rows, columns in divisors if height % rows == 0 and width % columns == 0]
    for rows, columns in dict.fromkeys([*(grid for grid in maps if grid[0] * grid[1] == moving), *square, *dividing]):
        if min(rows, columns) > 1:
            yield TokenLayout(rows, columns, first, count - first - moving)


def _placed(changes: Callable[[Iterator[Tensor]], Tensor], layout: TokenLayout, size: tuple[int, int, int], device: str) -> TokenLayout | None:
    """The layout, by rows or by columns, if each patch changes with the part of the image where it would lie; else ``None``."""
    change = changes(_striped(layout, size, device))
    centre = torch.stack([_centre(change[: layout.rows]), _centre(change[layout.rows :])])
    places = torch.cartesian_prod(torch.arange(layout.rows), torch.arange(layout.columns)).T.double()
    for candidate in (layout, replace(layout, by_columns=True)):
        shown = torch.stack([candidate.patches(axis[None]).flatten() for axis in centre])
        if all(_correlation(seen, expected) > _AGREE for seen, expected in zip(shown, places, strict=True)):
            return candidate
    return None


def _striped(layout: TokenLayout, size: tuple[int, int, int], device: str) -> Iterator[Tensor]:
    """A random image, then it with each row, then each column of patches replaced."""
    _, height, width = size
    base, other = seeded_images(2, size, device)
    yield base
    for row in range(layout.rows):
        image, top, bottom = base.clone(), height * row // layout.rows, height * (row + 1) // layout.rows
        image[:, top:bottom] = other[:, top:bottom]
        yield image
    for column in range(layout.columns):
        image, left, right = base.clone(), width * column // layout.columns, width * (column + 1) // layout.columns
        image[:, :, left:right] = other[:, :, left:right]
        yield image


def _centre(change: Tensor) -> Tensor:
    """The middle of the strips that change each token, weighted by the square of the change, ``(count,)``; patches may overlap."""
    weights = change.square()
    total = weights.sum(0)
    return (weights * torch.arange(len(change))[:, None]).sum(0) / torch.where(total > 0, total, 1)


def _correlation(first: Tensor, second: Tensor) -> float:
    a, b = first - first.mean(), second - second.mean()
    return float((a @ b) / (a.norm() * b.norm()).clamp_min(1e-12))


def _class_token(network: nn.Module, forward: Forward, last_exit: Tap, layout: TokenLayout, size: tuple[int, int, int], device: str) -> int | None:
    """The first token that the logits depend on after the last block, where they depend on no patch; ``None`` where they do."""
    leaves: list[Tensor] = []

    def cut(_index: int, tokens: Tensor) -> Tensor:
        leaves.append(tokens.detach().requires_grad_())
        return leaves[0]

    with torch.enable_grad(), tapped(network, [last_exit], cut):
        logits = forward(seeded_images(1, size, device))
        weights = seeded_images(1, (1, 1, logits.shape[1]), device)[0, 0]
        (gradient,) = torch.autograd.grad((logits * weights).sum(), leaves, allow_unused=True, materialize_grads=True)
    by_token = layout.tokens(gradient)
    if by_token is None:
        return None
    read = by_token[0].norm(dim=1) > 0
    own = read[layout.prefix : layout.prefix + layout.patch_count]
    return None if bool(own.any()) or not bool(read.any()) else int(read.nonzero()[0])
