"""The maps of tokens that a network's blocks give out, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from efficient360.methods.spectral.token_layout import PREFIXES, map_of

Seen = list[tuple[str, Any]]


def blocks_of(network: nn.Module) -> Sequence[tuple[str, nn.Module]]:
    """Whatever may be a block, by dotted name: numbered modules of two weights or more. Stages are among them; what a pass shows tells them apart."""
    return [(name, module) for name, module in network.named_modules() if name.rpartition(".")[2].isdigit() and _weights(module) >= 2]


def prefixes_of(network: nn.Module) -> Sequence[int]:
    """Numbers of tokens before the patches to try, the one that the network names first."""
    named: Any = getattr(network, "num_prefix_tokens", None)
    return (int(named), *PREFIXES) if isinstance(named, int) else PREFIXES


@contextmanager
def blocks_watched(network: nn.Module, images: Tensor, look: Callable[[Tensor], Any]) -> Iterator[Seen]:
    """Collect what ``look`` makes of every block's map of tokens during the passes within, with the blocks' names, the first block first.

    A block is the innermost numbered module that gives out a map: within MobileViT's stages the transformer works on pieces of patches, so
    the whole of it counts as one block. Maps are not kept.

    Args:
        network: Any network of numbered blocks.
        images: What the passes are given, ``(B, 3, H, W)``.
        look: Given a map ``(B, rows, columns, channels)``, at least 2 × 2.
    """
    seen: Seen = []
    prefixes, aspect = prefixes_of(network), images.shape[2] / images.shape[3]

    def hook_of(name: str) -> Callable[[nn.Module, Any, Any], None]:
        """A hook that remembers the block's name."""

        def hook(_module: nn.Module, _given: Any, output: Any) -> None:
            """Look at the map that the block gives out, unless a block within it did."""
            if any(inner.startswith(f"{name}.") for inner, _ in seen):
                return
            tokens = map_of(output, len(images), aspect, prefixes)
            if tokens is not None:
                seen.append((name, look(tokens)))

        return hook

    hooks = [module.register_forward_hook(hook_of(name)) for name, module in blocks_of(network)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _weights(module: nn.Module) -> int:
    return sum(parameter.ndim >= 2 for parameter in module.parameters())
