"""Which example stands where: permutations and resamples within strata, in chunks of bounded memory."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]

CELLS = 2_000_000
"""Numbers held at a time: some 50 MB with everything computed from them."""


def permuted(strata: Integers, draws: int, width: int, rng: np.random.Generator) -> Iterator[Integers]:
    """Examples put in random order within their stratum: each row is a permutation of all.

    Args:
        strata: Stratum of each example, 0 … S − 1, ``(n,)``.
        draws: How many rows in all.
        width: Numbers that are computed from a row, if more than ``n``.
        rng: Source of randomness.

    Yields:
        Example at each position, int32 ``(r, n)``; the example at position ``i`` is of stratum ``strata[i]``.
    """
    order = np.argsort(strata, kind="stable").astype(np.int32)
    ends = np.cumsum(np.bincount(strata)).tolist()
    for rows in chunks(draws, max(width, len(strata))):
        shuffled = np.tile(order, (rows, 1))
        for start, stop in pairwise([0, *ends]):
            if stop - start > 1:
                shuffled[:, start:stop] = rng.permuted(shuffled[:, start:stop], axis=1)
        drawn = np.empty_like(shuffled)
        drawn[:, order] = shuffled
        yield drawn


def resampled(strata: Integers, draws: int, width: int, rng: np.random.Generator) -> Iterator[Integers]:
    """Examples drawn with replacement within their stratum (stratified bootstrap, Efron & Tibshirani 1993, section 8). As :func:`permuted`."""
    order = np.argsort(strata, kind="stable").astype(np.int32)
    sizes = np.bincount(strata)
    starts, size = (np.cumsum(sizes) - sizes)[strata], sizes[strata]
    for rows in chunks(draws, max(width, len(strata))):
        yield order[starts + (rng.random((rows, len(strata))) * size).astype(np.int64)]


def chunks(total: int, width: int) -> Iterator[int]:
    """Rows of ``width`` numbers to hold at a time until ``total`` are done."""
    size = max(1, CELLS // width)
    for start in range(0, total, size):
        yield min(size, total - start)
