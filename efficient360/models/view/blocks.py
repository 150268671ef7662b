"""The blocks of a network: the like parts, one after the other, that hold one attention layer each; and where their tokens can be seen."""

from collections import Counter
from collections.abc import Sequence

from torch import nn

from efficient360.models.view.calls import Tap
from efficient360.models.view.trace import Trace


def block_names(layers: Sequence[str]) -> tuple[str, ...]:
    """Dotted names of the blocks of these attention layers, in order: of each the outermost module that holds no other of them.

    Args:
        layers: Dotted names of attention layers; empty for the network itself, which is no block.
    """
    held = Counter(holder for layer in layers for holder in _holders(layer))
    blocks = []
    for layer in layers:
        alone = [holder for holder in _holders(layer) if held[holder] == 1]
        if len(layers) == 1:  # every holder holds it alone: the innermost element of a list is meant
            alone = [holder for holder in alone if holder.rpartition(".")[2].isdigit()][-1:] or alone[-1:]
        blocks += alone[:1]
    return tuple(blocks)


def _holders(name: str) -> list[str]:
    """The modules that hold a module, itself included, from the outermost; without the network itself."""
    parts = name.split(".") if name else []
    return [".".join(parts[: index + 1]) for index in range(len(parts))]


def entrance(seen: Trace, block: str) -> Tap | None:
    """Where the tokens enter a block: the block itself, or in a bare list of modules the first of them that runs."""
    span = seen.inside(block)
    return None if span is None else seen.events[span[0]].tap


def exit_of(seen: Trace, block: str) -> Tap | None:
    """Where the tokens leave a block: what it returns, or in a bare list of modules what the next thing to run is given."""
    span = seen.inside(block)
    if span is None:
        return None
    last = seen.events[span[1]].tap
    if last.name == block:
        return last
    return next((event.tap for event in seen.events[span[1] + 1 :] if not event.attention), None)


def weighted_input(seen: Trace, network: nn.Module, layer: str) -> Tap | None:
    """Where the tokens enter the first weights of an attention layer, behind a norm inside it; the layer itself where that can't be told."""
    span = seen.inside(layer)
    if span is None:
        return None
    for event in seen.events[span[0] : span[1] + 1]:
        if event.attention:
            break
        if isinstance(network.get_submodule(event.tap.name), nn.Linear) and not event.tap.leaving and len(event.shape) == 3:
            return event.tap
    return seen.events[span[0]].tap
