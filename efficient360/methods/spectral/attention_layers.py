"""The attention of each layer of a network, measured as it passes by."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from efficient360.methods.spectral.attention_shape import distances_between, entropy, extent_of, mean_distance, response
from efficient360.methods.spectral.token_layout import grid_of, split
from efficient360.methods.spectral.token_maps import prefixes_of


@final
@dataclass(frozen=True)
class LayerAttention:
    """What one layer's attention does, averaged over its windows.

    Args:
        name: Dotted name of the layer.
        entropy: Entropy as a share of that of equal attention, ``(B, heads)`` in [0, 1].
        response: Gain for what differs between tokens, ``(B, heads)`` in [0, 1].
        distance: Mean distance between patches in sides of the image, ``(B, heads)``; ``None`` where it is not known how the tokens lie.
    """

    name: str
    entropy: Tensor
    response: Tensor
    distance: Tensor | None


@contextmanager
def attention_watched(network: nn.Module, images: Tensor, done: Callable[[], None]) -> Iterator[list[LayerAttention]]:
    """Collect what the attention of each layer does during the pass within, the first layer first. The matrices themselves are not kept.

    Only attention from tokens to tokens counts: not that over channels, nor of a class token alone. A fused attention writes nothing down; switch it
    off around this.

    Args:
        network: Layers of attention have a module ``attn_drop``, which sees the matrix, as timm's do.
        images: What the pass is given, ``(B, 3, H, W)``.
        done: Called after each matrix.
    """
    seen: list[LayerAttention] = []
    hooks: list[Any] = []
    for name, layer in network.named_modules():
        dropout: Any = getattr(layer, "attn_drop", None)
        if isinstance(dropout, nn.Module):
            watch = _Watch(name, layer, images.shape[0], images.shape[2], images.shape[3], network, seen, done)
            hooks += [layer.register_forward_pre_hook(watch.enter), dropout.register_forward_hook(watch.look)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@final
@dataclass
class _Watch:
    """The hooks of one layer."""

    name: str
    layer: Any
    size: int
    height: int
    width: int
    network: nn.Module
    seen: list[LayerAttention]
    done: Callable[[], None]
    given: tuple[int, ...] = ()

    def enter(self, _module: nn.Module, given: Any) -> None:
        """The shape of what the layer is given."""
        self.given = tuple(given[0].shape) if given and isinstance(given[0], Tensor) else ()

    def look(self, _module: nn.Module, _given: Any, output: Any) -> None:
        """Measure the matrix that the dropout gave out."""
        attention = self._windows(output) if isinstance(output, Tensor) else None
        if attention is not None:
            self.seen.append(self._measured(attention))
        self.done()

    def _windows(self, attention: Tensor) -> Tensor | None:
        """``(B, windows, heads, queries, keys)``, or ``None`` where it is no attention from all tokens to tokens."""
        heads = getattr(self.layer, "num_heads", None)
        if attention.ndim == 5:  # windows apart from the batch, before or after the heads
            attention = attention.transpose(1, 2) if attention.shape[1] == heads != attention.shape[2] else attention
            attention = attention.flatten(0, 1)
        if attention.ndim != 4 or attention.shape[0] % self.size or min(attention.shape[2:]) < 2:
            return None
        tokens = attention.shape[0] * attention.shape[2]
        whole = math.prod(self.given)
        # What is given holds as many tokens as there are queries: else these are channels, or a part of the tokens.
        if whole % tokens or whole // tokens not in self.given or not torch.allclose(attention.sum(-1), torch.ones(()).to(attention), atol=1e-3):
            return None
        return attention.reshape(self.size, -1, *attention.shape[1:])

    def _measured(self, attention: Tensor) -> LayerAttention:
        most = math.log(attention.shape[-1])
        patches = attention[..., self._prefix(attention) :, :]
        share = (entropy(patches) / most).clamp(0, 1).mean(1)
        distances = self._distances(attention)
        distance = None if distances is None else mean_distance(_between_patches(attention, distances), distances.to(attention.device)).mean(1)
        return LayerAttention(self.name, share, response(attention).clamp(0, 1).mean(1), distance)

    def _prefix(self, attention: Tensor) -> int:
        """Tokens before the patches; none in a window."""
        found = split(attention.shape[3], self.height / self.width, prefixes_of(self.network)) if attention.shape[1] == 1 else None
        return found[0] if found else 0

    def _distances(self, attention: Tensor) -> Tensor | None:
        """Between the patches that ask and those that are looked at, in sides of the image; ``None`` where it is not known how they lie."""
        _, windows, _, queries, keys = attention.shape
        aspect, extent = self.height / self.width, extent_of(self.height, self.width)
        if windows > 1:
            return self._within_window(windows, queries, keys, aspect, extent)
        asking = split(queries, aspect, prefixes_of(self.network))
        looked_at = asking if keys == queries else split(keys, aspect, (0, *prefixes_of(self.network)))
        return distances_between(asking[1:], looked_at[1:], extent) if asking and looked_at else None

    def _within_window(self, windows: int, queries: int, keys: int, aspect: float, extent: tuple[float, float]) -> Tensor | None:
        """Windows are patches side by side where the layer names their size; elsewhere they may be strewn over the image."""
        sides: Any = getattr(self.layer, "window_size", None)
        whole = grid_of(windows * queries, aspect)
        if not isinstance(sides, tuple | list) or len(sides) != 2 or sides[0] * sides[1] != queries or keys != queries or whole is None:
            return None
        window = (int(sides[0]), int(sides[1]))
        covered = (extent[0] * window[0] / whole[0], extent[1] * window[1] / whole[1])
        return distances_between(window, window, covered)


def _between_patches(attention: Tensor, distances: Tensor) -> Tensor:
    queries, keys = distances.shape
    return attention[..., attention.shape[-2] - queries :, attention.shape[-1] - keys :]
