"""Partitions of examples into groups: by a column, by intersections of columns, by quantiles of a measured value."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

CROSS = " × "


@final
@dataclass(frozen=True)
class Grouping:
    """A partition of examples into groups.

    Args:
        name: What they are grouped by: ``race``, ``race × age``, ``brightness (proxy)``.
        names: Name of each group.
        codes: Index of each example's group, int64 ``(n,)``; every group has an example.
    """

    name: str
    names: tuple[str, ...]
    codes: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Examples per group, int64 ``(G,)``."""
        return np.bincount(self.codes, minlength=len(self.names)).astype(np.int64)

    def select(self, selected: NDArray[np.bool_]) -> tuple[NDArray[np.int64], "Grouping"]:
        """Restrict to some of the groups.

        Args:
            selected: Whether to keep each group, bool ``(G,)``.

        Returns:
            Indices of the examples kept, sorted by group, and their grouping.
        """
        inside = np.flatnonzero(selected[self.codes])
        codes = (np.cumsum(selected) - 1)[self.codes[inside]]
        order = np.argsort(codes, kind="stable")
        names = tuple(name for name, keep in zip(self.names, selected, strict=True) if keep)
        return inside[order].astype(np.int64), Grouping(self.name, names, codes[order].astype(np.int64))


def group_by(name: str, values: Sequence[str]) -> Grouping:
    """One group per distinct value, in the order of the values."""
    distinct, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return Grouping(name, tuple(str(value) for value in distinct), codes.astype(np.int64))


def intersect(first: Grouping, second: Grouping) -> Grouping:
    """One group per pair of groups that occurs (intersectional groups; Buolamwini & Gebru 2018)."""
    pairs, codes = np.unique(first.codes * len(second.names) + second.codes, return_inverse=True)
    names = tuple(first.names[i] + CROSS + second.names[j] for i, j in zip(*np.divmod(pairs, len(second.names)), strict=True))
    return Grouping(first.name + CROSS + second.name, names, codes.astype(np.int64))


def intersections(columns: Sequence[Grouping], max_columns: int) -> list[Grouping]:
    """Every grouping by one column, by two columns crossed, and so on up to ``max_columns`` of them."""
    return [reduce(intersect, chosen) for together in range(1, max_columns + 1) for chosen in combinations(columns, together)]


def quantile_groups(name: str, values: NDArray[np.floating[Any]], levels: int) -> Grouping:
    """Groups of about equal size by the quantiles of a value; equal values stay in one group.

    Args:
        name: What the values are.
        values: ``(n,)``.
        levels: Number of groups, at least 2; fewer result where many values are equal.
    """
    edges = np.quantile(values, np.arange(1, levels) / levels)
    occupied, codes = np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)
    return Grouping(name, tuple(_level_name(int(i), levels) for i in occupied), codes.astype(np.int64))


def _level_name(index: int, levels: int) -> str:
    if index in (0, levels - 1):
        return f"{'lowest' if index == 0 else 'highest'} of {levels}"
    return f"{index + 1} of {levels}"
