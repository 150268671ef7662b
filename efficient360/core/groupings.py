"""Examples sorted into groups: by a column, by two columns crossed, by where a measured value lies."""

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
    """Examples sorted into groups.

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
        """Examples of each group, int64 ``(G,)``."""
        return np.bincount(self.codes, minlength=len(self.names)).astype(np.int64)

    def among(self, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.int64], "Grouping"]:
        """The examples of some groups only.

        Args:
            chosen: Whether to keep each group, bool ``(G,)``.

        Returns:
            Positions of the examples kept, group after group, and their grouping.
        """
        inside = np.flatnonzero(chosen[self.codes])
        codes = (np.cumsum(chosen) - 1)[self.codes[inside]]
        order = np.argsort(codes, kind="stable")
        names = tuple(name for name, kept in zip(self.names, chosen, strict=True) if kept)
        return inside[order].astype(np.int64), Grouping(self.name, names, codes[order].astype(np.int64))


def grouped(name: str, values: Sequence[str]) -> Grouping:
    """Examples of equal value in one group; groups in the order of their names."""
    found, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return Grouping(name, tuple(str(value) for value in found), codes.astype(np.int64))


def crossed(first: Grouping, second: Grouping) -> Grouping:
    """A group for every pair of groups that occurs (Buolamwini & Gebru 2018: a gap can hide where two columns meet)."""
    pairs, codes = np.unique(first.codes * len(second.names) + second.codes, return_inverse=True)
    names = tuple(first.names[i] + CROSS + second.names[j] for i, j in zip(*np.divmod(pairs, len(second.names)), strict=True))
    return Grouping(first.name + CROSS + second.name, names, codes.astype(np.int64))


def crossings(columns: Sequence[Grouping], most: int) -> list[Grouping]:
    """Every grouping by one column, by two crossed, and so on up to ``most`` of them."""
    return [reduce(crossed, chosen) for together in range(1, most + 1) for chosen in combinations(columns, together)]


def cut(name: str, values: NDArray[np.floating[Any]], levels: int) -> Grouping:
    """Examples by where their value lies among all: as many of them in each of ``levels`` groups as equal values allow, which stay together.

    Args:
        name: What the values are.
        values: ``(n,)``.
        levels: How many groups, at least 2; fewer come out where many values are equal.
    """
    edges = np.quantile(values, np.arange(1, levels) / levels)
    found, codes = np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)
    return Grouping(name, tuple(_level(int(i), levels) for i in found), codes.astype(np.int64))


def _level(index: int, levels: int) -> str:
    if index in (0, levels - 1):
        return f"{'lowest' if index == 0 else 'highest'} of {levels}"
    return f"{index + 1} of {levels}"
