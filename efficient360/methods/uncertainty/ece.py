"""Expected calibration error (ECE): its equal-mass bins, its null distribution and its bootstrap resamples."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats, Integers

MAX_CELLS = 1_000_000
"""Resampled cells held at a time: about 100 MB with everything computed from them."""


@final
@dataclass(frozen=True)
class ConfidenceLevels:
    """Examples grouped by equal confidence, so that nothing depends on the order of examples or of ties: all that calibration and selective risk look at.

    Args:
        confidence: float64 ``(m,)`` in [0, 1], strictly ascending.
        counts: Examples at each level of confidence, ``(r, m)`` for ``r`` resamples; every row sums to ``n``.
        hits: How many of them were classified correctly, ``(r, m)``.
    """

    confidence: Floats
    counts: Integers
    hits: Integers

    @property
    def n(self) -> int:
        """Number of examples."""
        return int(self.counts[0].sum())


def confidence_levels(confidence: Floats, correct: Floats) -> ConfidenceLevels:
    """Group ``n`` examples by equal confidence: a single row.

    Args:
        confidence: ``(n,)`` in [0, 1].
        correct: 0 or 1, ``(n,)``.

    Raises:
        ValueError: No examples, unequal lengths, a confidence outside [0, 1] or a correctness other than 0 or 1.
    """
    confidence, correct = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if confidence.ndim != 1 or confidence.shape != correct.shape or not len(confidence):
        raise ValueError(f"confidence of shape {confidence.shape} and correctness of shape {correct.shape} are not two equal, non-empty vectors")
    if not bool(((confidence >= 0) & (confidence <= 1)).all()):
        raise ValueError("a confidence lies outside [0, 1]")
    if not bool(np.isin(correct, (0.0, 1.0)).all()):
        raise ValueError("correctness is neither 0 nor 1")
    unique, index = np.unique(confidence, return_inverse=True)
    counts = np.bincount(index, minlength=len(unique))
    hits = np.bincount(index[correct == 1], minlength=len(unique))
    return ConfidenceLevels(unique, counts[None], hits[None])


def expected_calibration_error(levels: ConfidenceLevels, bins: int) -> Floats:
    """ECE of each row of ``levels``: ``Σ_b (n_b / n) |accuracy_b − confidence_b|``, ``(r,)`` in [0, 1], lower is better.

    Guo et al. 2017 (equation 3) with the equal-mass bins of Nixon et al. 2019. Examples of equal confidence share a bin. Even a perfectly calibrated
    classifier scores above 0, by an amount that shrinks with ``n``; hence the null of :func:`calibrated_resamples`.
    """
    edges = _bin_edges(levels, bins)
    confidence = _sum_by_bin(edges, levels.counts * levels.confidence)
    hits = _sum_by_bin(edges, levels.hits)
    error: Floats = np.clip(np.abs(confidence - hits).sum(axis=1) / levels.n, 0.0, 1.0)
    return error


@final
@dataclass(frozen=True)
class ReliabilityBin:
    """One non-empty bin of a reliability diagram.

    Args:
        count: Number of examples, at least 1.
        hits: How many were classified correctly.
        confidence: Their mean confidence, in [0, 1].
    """

    count: int
    hits: int
    confidence: float


def reliability_bins(levels: ConfidenceLevels, bins: int) -> list[ReliabilityBin]:
    """The bins behind :func:`expected_calibration_error` of a single row, by ascending confidence; empty bins are left out."""
    edges = _bin_edges(levels, bins)
    counts, hits, confidence = (_sum_by_bin(edges, values)[0] for values in (levels.counts, levels.hits, levels.counts * levels.confidence))
    return [ReliabilityBin(int(n), int(h), min(1.0, float(c) / int(n))) for n, h, c in zip(counts, hits, confidence, strict=True) if n]


def bootstrap_resamples(levels: ConfidenceLevels, resamples: int, rng: np.random.Generator) -> Iterator[ConfidenceLevels]:
    """Examples drawn with replacement (Efron 1979): ``resamples`` rows in chunks of bounded memory.

    Args:
        levels: A single row.
        resamples: How many rows in all.
        rng: Source of randomness.
    """
    m, n = len(levels.confidence), levels.n
    # A cell is a level and whether the example was classified correctly: 2 j for incorrect, 2 j + 1 for correct.
    cell_counts = np.stack([levels.counts[0] - levels.hits[0], levels.hits[0]], axis=1).ravel()
    cell_of_example = np.repeat(np.arange(2 * m), cell_counts)
    for rows in _chunk_sizes(resamples, n):
        drawn = cell_of_example[rng.integers(0, n, (rows, n), dtype=np.int32)]
        drawn += np.arange(rows)[:, None] * 2 * m
        table = np.bincount(drawn.ravel(), minlength=rows * 2 * m).reshape(rows, m, 2)
        yield ConfidenceLevels(levels.confidence, table.sum(axis=2), table[:, :, 1])


def calibrated_resamples(levels: ConfidenceLevels, resamples: int, rng: np.random.Generator) -> Iterator[ConfidenceLevels]:
    """The null: the same confidences under perfect calibration, where each prediction is correct with a probability equal to its confidence.

    Consistency resampling (Bröcker & Smith 2007), with the confidences held fixed. Chunks as in :func:`bootstrap_resamples`.
    """
    for rows in _chunk_sizes(resamples, len(levels.confidence)):
        hits = rng.binomial(levels.counts, levels.confidence, (rows, len(levels.confidence)))
        yield ConfidenceLevels(levels.confidence, levels.counts, hits)


def _bin_edges(levels: ConfidenceLevels, bins: int) -> NDArray[np.intp]:
    """Where bins begin and end, as level indices ``(r, bins + 1)``: before the level that holds example ``⌊b n / bins⌋`` in ascending order."""
    if bins < 1:
        raise ValueError(f"{bins} bins")
    positions = np.arange(1, bins) * levels.n // bins
    inner = [np.searchsorted(row, positions, side="right") for row in np.cumsum(levels.counts, axis=1)]
    return np.pad(np.array(inner, dtype=np.intp), ((0, 0), (1, 1)), constant_values=(0, len(levels.confidence)))


def _sum_by_bin(edges: NDArray[np.intp], values: NDArray[Any]) -> NDArray[Any]:
    """Sums of ``values`` ``(r, m)`` between neighbouring edges, ``(r, bins)``."""
    cumulative = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
    rows = max(len(edges), len(values))
    at_edges = np.take_along_axis(np.broadcast_to(cumulative, (rows, cumulative.shape[1])), np.broadcast_to(edges, (rows, edges.shape[1])), axis=1)
    return np.diff(at_edges, axis=1)


def _chunk_sizes(total: int, width: int) -> Iterator[int]:
    size = max(1, MAX_CELLS // width)
    for start in range(0, total, size):
        yield min(size, total - start)
