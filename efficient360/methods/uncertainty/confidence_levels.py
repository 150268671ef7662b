"""How often a classifier was right at each level of confidence: all that calibration and selective risk look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.core.arrays import Floats, Integers

CELLS = 1_000_000
"""Resampled cells held at a time: about 100 MB with everything computed from them."""


@final
@dataclass(frozen=True)
class Levels:
    """Examples grouped by equal confidence, so that nothing depends on the order of examples or of ties.

    Args:
        confidence: float64 ``(m,)`` in [0, 1], strictly ascending.
        counts: Examples at each level, ``(r, m)`` for ``r`` resamples; every row sums to ``n``.
        hits: How many of them were classified rightly, ``(r, m)``.
    """

    confidence: Floats
    counts: Integers
    hits: Integers

    @property
    def n(self) -> int:
        """Number of examples."""
        return int(self.counts[0].sum())


def levels_of(confidence: Floats, correct: Floats) -> Levels:
    """One row of levels of ``n`` examples.

    Args:
        confidence: ``(n,)`` in [0, 1].
        correct: 0 or 1, ``(n,)``.

    Raises:
        ValueError: No examples, unequal lengths, a confidence outside [0, 1] or a correctness other than 0 or 1.
    """
    confidence, correct = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if confidence.ndim != 1 or confidence.shape != correct.shape or not len(confidence):
        raise ValueError(f"confidences of shape {confidence.shape} and correctness of shape {correct.shape} are not two equal, non-empty rows")
    if not bool(((confidence >= 0) & (confidence <= 1)).all()):
        raise ValueError("a confidence lies outside [0, 1]")
    if not bool(np.isin(correct, (0.0, 1.0)).all()):
        raise ValueError("correctness is neither 0 nor 1")
    level, index = np.unique(confidence, return_inverse=True)
    counts = np.bincount(index, minlength=len(level))
    hits = np.bincount(index[correct == 1], minlength=len(level))
    return Levels(level, counts[None], hits[None])


def bootstrapped(levels: Levels, resamples: int, rng: np.random.Generator) -> Iterator[Levels]:
    """Examples drawn with replacement (Efron 1979), ``resamples`` rows in chunks of bounded memory.

    Args:
        levels: One row.
        resamples: How many rows in all.
        rng: Source of randomness.
    """
    m, n = len(levels.confidence), levels.n
    # A cell is a level and whether the example was right: 2 j for wrong, 2 j + 1 for right.
    cells = np.stack([levels.counts[0] - levels.hits[0], levels.hits[0]], axis=1).ravel()
    of_example = np.repeat(np.arange(2 * m), cells)
    for rows in _chunks(resamples, n):
        drawn = of_example[rng.integers(0, n, (rows, n), dtype=np.int32)]
        drawn += np.arange(rows)[:, None] * 2 * m
        table = np.bincount(drawn.ravel(), minlength=rows * 2 * m).reshape(rows, m, 2)
        yield Levels(levels.confidence, table.sum(axis=2), table[:, :, 1])


def calibrated(levels: Levels, resamples: int, rng: np.random.Generator) -> Iterator[Levels]:
    """The same confidences as a perfectly calibrated classifier has them: right with just that probability.

    Consistency resampling of Bröcker & Smith 2007, with the confidences held fixed. Chunks as in :func:`bootstrapped`.
    """
    for rows in _chunks(resamples, len(levels.confidence)):
        hits = rng.binomial(levels.counts, levels.confidence, (rows, len(levels.confidence)))
        yield Levels(levels.confidence, levels.counts, hits)


def _chunks(total: int, width: int) -> Iterator[int]:
    size = max(1, CELLS // width)
    for start in range(0, total, size):
        yield min(size, total - start)
