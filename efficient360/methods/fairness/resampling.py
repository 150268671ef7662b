"""Permutations, stratified bootstrap resamples and permuted contingency tables, in chunks of bounded memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats, Integers

CHUNK_VALUES = 2_000_000
"""Values held at a time: some 50 MB with everything computed from them."""
SIMULTANEOUS = "simultaneous-bootstrap"
"""Method name of an interval that covers the range over all groups at once."""


def permutations(n: int, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Random permutations of ``n`` examples, ``(draws, n)``."""
    return rng.permuted(np.tile(np.arange(n), (draws, 1)), axis=1)


def stratified_resamples(strata: Integers, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of examples drawn with replacement within their stratum, ``(draws, n)`` (stratified bootstrap, Efron & Tibshirani 1993, section 8).

    Args:
        strata: Stratum of each example, ascending, 0 … S − 1, ``(n,)``; the example drawn for position ``i`` is from stratum ``strata[i]``.
        draws: Number of resamples.
        rng: Source of randomness.
    """
    sizes = np.bincount(strata)
    starts, size = (np.cumsum(sizes) - sizes)[strata], sizes[strata]
    return starts + (rng.random((draws, len(strata))) * size).astype(np.int64)


def binomial_errors(hits: Integers, sizes: Integers, draws: int, rng: np.random.Generator) -> Floats:
    """Sampling errors of rates ``hits / sizes``, ``(draws, *hits.shape)``: a parametric bootstrap.

    Drawn from ``(hits + 1/2) / (size + 1)``, so that a rate of 0 or 1 has sampling errors too, and scaled by √(n / (n − 1)), by which an estimated rate
    understates its spread. A mean over many rates is sensitive to either: without them an interval of 95 % covered 92 %.

    Args:
        hits: Counts of any shape.
        sizes: Out of how many, of the same shape; a rate of no example has no error.
        draws: Number of resamples.
        rng: Source of randomness.
    """
    rate = (hits + 0.5) / (sizes + 1)
    scale = np.sqrt(sizes / np.maximum(sizes - 1, 1)) / np.maximum(sizes, 1)
    errors: Floats = (rng.binomial(sizes, rate, (draws, *np.shape(hits))) - sizes * rate) * scale
    return errors


def multinomial_errors(counts: Integers, draws: int, rng: np.random.Generator) -> Floats:
    """As :func:`binomial_errors` for shares that add up to 1 in each group, ``(draws, G, K)``: what one class gains the others lose.

    Args:
        counts: Examples of each group by class, ``(G, K)``; every group has an example.
        draws: Number of resamples.
        rng: Source of randomness.
    """
    errors = []
    for row in counts:
        size = int(row.sum())
        share = (row + 1 / len(row)) / (size + 1)
        errors.append((rng.multinomial(size, share, draws) / size - share) * np.sqrt(size / max(size - 1, 1)))
    return np.stack(errors, axis=1)


def permuted_tables(categories: Integers, groups: Integers, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Contingency tables of group against category under permuted group labels, ``(draws, G, P)``.

    Permuting the group labels of the examples gives exactly these counts: tables with both margins fixed. They are drawn cell by cell, each
    hypergeometric given those before, so the work does not grow with the number of examples.

    Args:
        categories: Examples per category, ``(P,)``.
        groups: Examples per group, ``(G,)``, with the same sum.
        draws: Number of tables.
        rng: Source of randomness.
    """
    table = np.zeros((draws, len(groups), len(categories)), dtype=np.int64)
    room = np.tile(np.asarray(groups, dtype=np.int64), (draws, 1))
    for category in range(len(categories) - 1):
        left = np.full(draws, categories[category], dtype=np.int64)
        room_after = room.sum(axis=1)
        for group in range(len(groups) - 1):
            room_after = room_after - room[:, group]
            table[:, group, category] = rng.hypergeometric(room[:, group], room_after, left)
            left = left - table[:, group, category]
        table[:, -1, category] = left
        room = room - table[:, :, category]
    table[:, :, -1] = room
    return table


def chunk_sizes(total: int, width: int) -> Iterator[int]:
    """Sizes of chunks that add up to ``total`` rows of ``width`` values, each within :data:`CHUNK_VALUES`."""
    size = max(1, CHUNK_VALUES // width)
    for start in range(0, total, size):
        yield min(size, total - start)
