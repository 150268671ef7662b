"""What an attention matrix does: how evenly it looks, how far, and how much of what differs between tokens it lets through."""

import math
from typing import Final

import torch
from torch import Tensor

TINY: Final = 1e-12
"""Smallest attention to patches that still has a mean distance."""


def entropy(attention: Tensor) -> Tensor:
    """Entropy of each row in nat, mean over rows, ``(...)`` from 0 (one key each) to ``log(keys)`` (all keys alike).

    Args:
        attention: ``(..., queries, keys)``, rows summing to 1.
    """
    by_row: Tensor = torch.special.entr(attention.double()).sum(-1)
    return by_row.mean(-1)


def response(attention: Tensor) -> Tensor:
    """Root mean square gain for signals beyond the mean, ``(...)`` from 0 (every query gets the mean) to 1 (all of it passes).

    It is ``‖(I - 11ᵀ/N) A‖ / √(N - 1)`` in the Frobenius norm: what is left, beyond the mean of its outputs, of white noise beyond the mean of
    its inputs; the high-frequency part of Wang et al. 2022, section 3. For matrices of more queries than keys both sides are taken per token.

    Args:
        attention: ``(..., queries, keys)``, rows summing to 1, at least 2 keys.
    """
    attention = attention.double()
    keys = attention.shape[-1]
    return (attention.var(-2, correction=0).sum(-1) * (keys / (keys - 1))).sqrt()


def mean_distance(attention: Tensor, distances: Tensor) -> Tensor:
    """Mean distance between a query and where it looks, weighted by attention, mean over queries, ``(...)`` in the unit of ``distances``.

    Args:
        attention: ``(..., queries, keys)`` between patches; rows may sum to less than 1, as attention to class tokens does not count.
        distances: ``(queries, keys)``.
    """
    attention = attention.double()
    weighted = (attention * distances).sum(-1)
    return (weighted / attention.sum(-1).clamp_min(TINY)).mean(-1)


def distances_between(queries: tuple[int, int], keys: tuple[int, int], extent: tuple[float, float]) -> Tensor:
    """Distances between the centres of two grids of cells that cover the same area, float64 ``(queries, keys)``, row by row.

    Args:
        queries: Rows and columns.
        keys: Rows and columns.
        extent: Height and width of the area; they give the unit.
    """
    first, second = _centres(queries, extent), _centres(keys, extent)
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def _centres(grid: tuple[int, int], extent: tuple[float, float]) -> Tensor:
    rows, columns = ((torch.arange(count, dtype=torch.float64) + 0.5) * length / count for count, length in zip(grid, extent, strict=True))
    return torch.cartesian_prod(rows, columns)


def extent_of(height: float, width: float) -> tuple[float, float]:
    """Height and width of an area in sides of the square of the same area: 1 and 1 for a square."""
    side = math.sqrt(height * width)
    return height / side, width / side
