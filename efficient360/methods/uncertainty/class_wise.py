"""Class-wise calibration: whether each class's probability is right as often as it says, also where another class was predicted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.methods.uncertainty.part_errors import PartErrors
from efficient360.methods.uncertainty.resampling import weights

ROWS = 1024
"""Examples worked on at a time."""


@final
@dataclass(frozen=True)
class Effort:
    """How much is drawn.

    Args:
        bins: Bins of equal mass for each class.
        draws: Draws of the null, and as many resamples.
        check: Called between steps of long work; may raise.
    """

    bins: int
    draws: int
    check: Callable[[], None]


def class_wise(probability: Floats, labels: NDArray[np.int64], names: Sequence[str], effort: Effort, seed: list[int]) -> PartErrors:
    """Calibration error of each class, one against the rest.

    Kull et al. 2019 (classwise-ECE) with the equal-mass bins of Nixon et al. 2019, cut as in
    :func:`efficient360.methods.uncertainty.calibration_error.calibration_error`. The null draws every example's class from its predicted distribution
    (Bröcker & Smith 2007), so that classes stay tied as they are; bins stay as they are in null and resamples.

    Args:
        probability: ``(n, K)``, rows that sum to 1.
        labels: ``(n,)``.
        names: Name of each class, ``K``.
        effort: How much is drawn.
        seed: Of the draws.
    """
    n, classes = probability.shape
    bins = _bins(probability, effort)
    expected = _expected(probability, bins, effort)
    happened = _counted(labels, bins, effort.bins)
    cells = classes * effort.bins
    shape = (effort.draws, classes, effort.bins)
    drawn, moved = np.zeros((effort.draws, cells), dtype=np.int32), np.zeros(shape)
    chance, again = np.random.default_rng([*seed, 0]), np.random.default_rng([*seed, 1])
    times = weights(n, effort.draws, again)
    for rows in _rows(n):
        effort.check()
        part, where = probability[rows].astype(np.float64), bins[rows]
        drawn += _labels_drawn(part, where, effort, chance)
        moved += _resampled_gaps(part, labels[rows], where, times[:, rows], effort.bins)
    null = np.abs(expected - drawn.reshape(shape)).sum(axis=2) / n
    gaps = (expected - happened).sum(axis=1) / n
    values = np.abs(expected - happened).sum(axis=1) / n
    sizes = np.bincount(labels, minlength=classes).astype(np.float64)
    return PartErrors(tuple(names), sizes, np.minimum(values, 1.0), gaps, np.minimum(null, 1.0), np.abs(moved).sum(axis=2) / n)


def _bins(probability: Floats, effort: Effort) -> NDArray[np.uint16]:
    """Bin of each example for each class, ``(n, K)``: of equal mass, equal probabilities in one."""
    n, classes = probability.shape
    starts = np.unique(np.arange(1, effort.bins) * n // effort.bins)
    found = np.empty((n, classes), dtype=np.uint16)
    for label in range(classes):
        if label % 64 == 0:
            effort.check()
        column = probability[:, label]
        found[:, label] = np.searchsorted(np.sort(column)[starts], column, side="right")
    return found


def _expected(probability: Floats, bins: NDArray[np.uint16], effort: Effort) -> Floats:
    """Sum of probabilities by class and bin, ``(K, bins)``."""
    classes = probability.shape[1]
    return np.stack([np.bincount(bins[:, k], probability[:, k], minlength=effort.bins) for k in range(classes)])


def _counted(labels: NDArray[np.int64], bins: NDArray[np.uint16], most: int) -> Floats:
    """How often each class occurs in each of its bins, ``(K, bins)``."""
    classes = bins.shape[1]
    cells = labels * most + bins[np.arange(len(labels)), labels]
    return np.bincount(cells, minlength=classes * most).reshape(classes, most).astype(np.float64)


def _labels_drawn(part: Floats, bins: NDArray[np.uint16], effort: Effort, rng: np.random.Generator) -> NDArray[Any]:
    """How often each class is drawn in each of its bins, ``(draws, K · bins)``, when classes are drawn from the probabilities ``(c, K)``."""
    rows, classes = part.shape
    cumulative = np.cumsum(part, axis=1)
    cumulative /= cumulative[:, -1:]
    # Row i's distribution lifted by i: one ascending sequence, searched at once.
    ascending = (cumulative + np.arange(rows)[:, None]).ravel()
    sought = rng.random((effort.draws, rows)) + np.arange(rows)
    labels = np.searchsorted(ascending, sought, side="right") - np.arange(rows) * classes
    labels = np.clip(labels, 0, classes - 1)
    cells = labels * effort.bins + bins[np.arange(rows), labels]
    width = classes * effort.bins
    cells += np.arange(effort.draws)[:, None] * width
    return np.bincount(cells.ravel(), minlength=effort.draws * width).reshape(effort.draws, width)


def _resampled_gaps(part: Floats, labels: NDArray[np.int64], bins: NDArray[np.uint16], times: Floats, most: int) -> Floats:
    """Sum of probability less occurrence by class and bin, each example counted as often as it was drawn, ``(draws, K, bins)``."""
    gap = part.copy()
    gap[np.arange(len(gap)), labels] -= 1
    return np.stack([times @ np.where(bins == b, gap, 0.0) for b in range(most)], axis=2)


def _rows(n: int) -> Iterator[slice]:
    for start in range(0, n, ROWS):
        yield slice(start, min(start + ROWS, n))
