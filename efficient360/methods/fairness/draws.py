"""Examples dealt out anew: permutations, resamples and tables of counts with fixed sums, and how many to hold at a time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Integers

CELLS = 2_000_000
"""Numbers held at a time: some 50 MB with everything computed from them."""


def permuted(n: int, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Random orders of ``n`` examples, ``(draws, n)``."""
    return rng.permuted(np.tile(np.arange(n), (draws, 1)), axis=1)


def resampled(strata: Integers, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Examples drawn with replacement within their stratum, ``(draws, n)`` (stratified bootstrap, Efron & Tibshirani 1993, section 8).

    Args:
        strata: Stratum of each example, ascending, 0 … S − 1, ``(n,)``; the example drawn for position ``i`` is of stratum ``strata[i]``.
        draws: How many rows.
        rng: Source of randomness.
    """
    sizes = np.bincount(strata)
    starts, size = (np.cumsum(sizes) - sizes)[strata], sizes[strata]
    return starts + (rng.random((draws, len(strata))) * size).astype(np.int64)


def dealt(kinds: Integers, groups: Integers, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many examples of each kind fall on each group when they are dealt out at random, ``(draws, G, P)``.

    Permuting the group labels of the examples gives just these counts: tables with both sums fixed. They are drawn cell by cell, each hypergeometric
    given those before, so the work does not grow with the number of examples.

    Args:
        kinds: Examples of each kind, ``(P,)``.
        groups: Room in each group, ``(G,)``, of the same sum.
        draws: How many tables.
        rng: Source of randomness.
    """
    table = np.zeros((draws, len(groups), len(kinds)), dtype=np.int64)
    room = np.tile(np.asarray(groups, dtype=np.int64), (draws, 1))
    for kind in range(len(kinds) - 1):
        left = np.full(draws, kinds[kind], dtype=np.int64)
        beyond = room.sum(axis=1)
        for group in range(len(groups) - 1):
            beyond = beyond - room[:, group]
            table[:, group, kind] = rng.hypergeometric(room[:, group], beyond, left)
            left = left - table[:, group, kind]
        table[:, -1, kind] = left
        room = room - table[:, :, kind]
    table[:, :, -1] = room
    return table


def chunks(total: int, width: int) -> Iterator[int]:
    """Rows of ``width`` numbers to hold at a time until ``total`` are done."""
    size = max(1, CELLS // width)
    for start in range(0, total, size):
        yield min(size, total - start)
