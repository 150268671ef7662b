"""Statistics of attention matrices: entropy, mean attention distance and high-frequency response of every layer and head, recorded during a forward pass."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from efficient360.methods.spectral.token_maps import grid_of, prefix_counts, split_tokens
from efficient360.methods.spectral.weight_roles import stated_heads
from efficient360.models.view.protocol import ViTView
from efficient360.models.view.recording import AttentionMap, recording

TINY: Final = 1e-12
"""Smallest total attention to patches for which a mean distance is still defined."""


def entropy(attention: Tensor) -> Tensor:
    """Entropy of each row in nats, mean over rows, ``(...)`` from 0 (one key each) to ``log(keys)`` (uniform).

    Args:
        attention: ``(..., queries, keys)``, rows summing to 1.
    """
    by_row: Tensor = torch.special.entr(attention.double()).sum(-1)
    return by_row.mean(-1)


def high_frequency_response(attention: Tensor) -> Tensor:
    """Root mean square gain for what differs between tokens, ``(...)`` from 0 (every query gets the mean) to 1 (all of it passes).

    It is ``‖(I - 11ᵀ/N) A‖ / √(N - 1)`` in the Frobenius norm: the part of white noise without its mean that remains, without the mean, after attention;
    the high-frequency component of Wang et al. 2022, section 3. For matrices of more queries than keys both sides are taken per token.

    Args:
        attention: ``(..., queries, keys)``, rows summing to 1, at least 2 keys.
    """
    attention = attention.double()
    keys = attention.shape[-1]
    return (attention.var(-2, correction=0).sum(-1) * (keys / (keys - 1))).sqrt()


def mean_distance(attention: Tensor, distances: Tensor) -> Tensor:
    """Attention-weighted mean distance between query and key, mean over queries, ``(...)`` in the unit of ``distances``.

    Args:
        attention: ``(..., queries, keys)`` between patches; rows may sum to less than 1, since attention to class tokens does not count.
        distances: ``(queries, keys)``.
    """
    attention = attention.double()
    weighted = (attention * distances).sum(-1)
    return (weighted / attention.sum(-1).clamp_min(TINY)).mean(-1)


def grid_distances(queries: tuple[int, int], keys: tuple[int, int], extent: tuple[float, float]) -> Tensor:
    """Distances between the cell centres of two grids that cover the same area, float64 ``(queries, keys)``, row by row.

    Args:
        queries: Rows and columns.
        keys: Rows and columns.
        extent: Height and width of the area; they set the unit.
    """
    first, second = _centres(queries, extent), _centres(keys, extent)
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def _centres(grid: tuple[int, int], extent: tuple[float, float]) -> Tensor:
    rows, columns = ((torch.arange(count, dtype=torch.float64) + 0.5) * length / count for count, length in zip(grid, extent, strict=True))
    return torch.cartesian_prod(rows, columns)


def relative_extent(height: float, width: float) -> tuple[float, float]:
    """Height and width of an area in sides of the square of the same area: 1 and 1 for a square."""
    side = math.sqrt(height * width)
    return height / side, width / side


@final
@dataclass(frozen=True)
class AttentionStatistics:
    """Statistics of one layer's attention, averaged over its windows.

    Args:
        name: Dotted name of the layer.
        entropy: Entropy as a share of that of uniform attention, ``(B, heads)`` in [0, 1].
        response: High-frequency response, ``(B, heads)`` in [0, 1].
        distance: Mean attention distance between patches in image sides, ``(B, heads)``; ``None`` where the positions of the tokens are unknown.
    """

    name: str
    entropy: Tensor
    response: Tensor
    distance: Tensor | None


@contextmanager
def record_attention(network: nn.Module, images: Tensor, view: ViTView) -> Iterator[list[AttentionStatistics]]:
    """Collect the statistics of each layer's attention during the forward pass inside, in order. The matrices themselves are not kept.

    Only attention from tokens to tokens counts: not over channels, nor from a class token alone.

    Args:
        network: Whatever library it is from; fused attention is computed step by step inside.
        images: The input of the forward pass, ``(B, 3, H, W)``.
        view: Of the network.
    """
    statistics: list[AttentionStatistics] = []

    def measure(made: AttentionMap) -> None:
        holder = network.get_submodule(made.layer.rpartition(".")[0])
        layer = _Layer(made.layer, made.module, holder, images.shape[0], images.shape[2], images.shape[3], prefix_counts(network, view), made.shape)
        attention = layer.windows(made.probabilities)
        if attention is not None:
            statistics.append(layer.measure(attention))

    with recording(network, measure, view.probabilities):
        yield statistics


@final
@dataclass(frozen=True)
class _Layer:
    """One layer's call."""

    name: str
    layer: nn.Module
    holder: nn.Module
    batch_size: int
    height: int
    width: int
    prefixes: Sequence[int]
    input_shape: tuple[int, ...]

    def windows(self, attention: Tensor) -> Tensor | None:
        """``(B, windows, heads, queries, keys)``, or ``None`` unless it is attention from all tokens to tokens."""
        heads = stated_heads(self.layer)
        if attention.ndim == 3 and attention.shape[0] % self.batch_size == 0:  # the heads are an axis with the batch
            attention = attention.reshape(self.batch_size, -1, *attention.shape[1:])
        if attention.ndim == 5:  # windows as an axis of their own, before or after the heads
            attention = attention.transpose(1, 2) if attention.shape[1] == heads != attention.shape[2] else attention
            attention = attention.flatten(0, 1)
        if attention.ndim != 4 or attention.shape[0] % self.batch_size or min(attention.shape[2:]) < 2:
            return None
        tokens = attention.shape[0] * attention.shape[2]
        size = math.prod(self.input_shape)
        # The input must hold as many tokens as there are queries: otherwise these are channels, or some of the tokens.
        if size % tokens or size // tokens not in self.input_shape or not torch.allclose(attention.sum(-1), torch.ones(()).to(attention), atol=1e-3):
            return None
        return attention.reshape(self.batch_size, -1, *attention.shape[1:])

    def measure(self, attention: Tensor) -> AttentionStatistics:
        maximum = math.log(attention.shape[-1])
        patches = attention[..., self._prefix(attention) :, :]
        share = (entropy(patches) / maximum).clamp(0, 1).mean(1)
        distances = self._distances(attention)
        distance = None if distances is None else mean_distance(_between_patches(attention, distances), distances.to(attention.device)).mean(1)
        return AttentionStatistics(self.name, share, high_frequency_response(attention).clamp(0, 1).mean(1), distance)

    def _prefix(self, attention: Tensor) -> int:
        """Number of class and register tokens before the patches; none in a window."""
        layout = split_tokens(attention.shape[3], self.height / self.width, self.prefixes) if attention.shape[1] == 1 else None
        return layout[0] if layout else 0

    def _distances(self, attention: Tensor) -> Tensor | None:
        """Between query and key patches, in image sides; ``None`` where their positions are unknown."""
        _, windows, _, queries, keys = attention.shape
        aspect, extent = self.height / self.width, relative_extent(self.height, self.width)
        if windows > 1:
            return self._window_distances(windows, queries, keys, aspect, extent)
        query_layout = split_tokens(queries, aspect, self.prefixes)
        key_layout = query_layout if keys == queries else split_tokens(keys, aspect, (0, *self.prefixes))
        return grid_distances(query_layout[1:], key_layout[1:], extent) if query_layout and key_layout else None

    def _window_distances(self, windows: int, queries: int, keys: int, aspect: float, extent: tuple[float, float]) -> Tensor | None:
        """Windows are contiguous patches if the layer states their size; otherwise their tokens may be scattered over the image."""
        sides = _window_sides(self.layer, self.holder)
        grid = grid_of(windows * queries, aspect)
        if sides is None or sides[0] * sides[1] != queries or keys != queries or grid is None:
            return None
        covered = (extent[0] * sides[0] / grid[0], extent[1] * sides[1] / grid[1])
        return grid_distances(sides, sides, covered)


def _window_sides(layer: nn.Module, holder: nn.Module) -> tuple[int, int] | None:
    """Rows and columns of a layer's windows of neighbours, where it or what holds it states them; its parts may speak of a grid of distant tokens."""
    own, held = getattr(layer, "window_size", None), getattr(holder, "window_size", None)
    sides: Any = (held, held) if isinstance(held, int) and own is None else held if own is None else own
    return (int(sides[0]), int(sides[1])) if isinstance(sides, tuple | list) and len(sides) == 2 else None


def _between_patches(attention: Tensor, distances: Tensor) -> Tensor:
    queries, keys = distances.shape
    return attention[..., attention.shape[-2] - queries :, attention.shape[-1] - keys :]
