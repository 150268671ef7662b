"""Calibration error of subgroups: class-wise ECE and ECE by group, and how far their mean and their worst exceed chance."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.groupings import Grouping
from efficient360.core.measurement import Interval
from efficient360.core.statistics import centred_bootstrap
from efficient360.methods.uncertainty.bootstrap import bootstrap_weights
from efficient360.methods.uncertainty.ece import (
    ConfidenceLevels,
    bootstrap_resamples,
    calibrated_resamples,
    confidence_levels,
    expected_calibration_error,
)

ROWS = 1024
"""Examples processed at a time."""


@final
@dataclass(frozen=True)
class ResamplingSettings:
    """How subgroup errors are binned and resampled.

    Args:
        bins: Equal-mass bins for each subgroup.
        draws: Draws from the null, and as many bootstrap resamples.
        check: Called between steps of long work; may raise.
    """

    bins: int
    draws: int
    check: Callable[[], None]


@final
@dataclass(frozen=True)
class IntervalEstimate:
    """A calibration error, or its excess over that of a calibrated model, with its interval."""

    value: float
    interval: Interval


@final
@dataclass(frozen=True)
class SubgroupErrors:
    """Calibration error of each of ``P`` subgroups (classes or groups).

    Args:
        names: Name of each subgroup.
        sizes: Examples of each, int64 ``(P,)``.
        values: Error of each, ``(P,)`` in [0, 1].
        overconfidence: Mean probability minus frequency of each, ``(P,)``: positive where overconfident.
        null: Errors of a calibrated model with the same probabilities, ``(r, P)``.
        resampled: Errors of bootstrap resamples, ``(s, P)``.
    """

    names: tuple[str, ...]
    sizes: Floats
    values: Floats
    overconfidence: Floats
    null: Floats
    resampled: Floats

    @cached_property
    def null_means(self) -> Floats:
        """Mean error of a calibrated model by subgroup, ``(P,)``: larger for small subgroups."""
        null_means: Floats = self.null.mean(axis=0)
        return null_means

    @cached_property
    def excesses(self) -> Floats:
        """Error minus its mean under the null for each subgroup, ``(P,)``; about 0 when calibrated."""
        excesses: Floats = self.values - self.null_means
        return excesses

    def mean(self) -> IntervalEstimate:
        """The mean error, every subgroup weighing the same."""
        value = float(self.values.mean())
        return IntervalEstimate(value, centred_bootstrap(value, self.resampled.mean(axis=1), 0.0, 1.0))

    def mean_excess(self) -> IntervalEstimate:
        """The mean excess error."""
        value = float(self.excesses.mean())
        return IntervalEstimate(value, centred_bootstrap(value, self.resampled.mean(axis=1), -1.0, 1.0))

    def worst_excess(self) -> IntervalEstimate:
        """The largest excess of any subgroup, minus the expected largest under the null: a maximum over many lies above 0 even if each is calibrated."""
        null_maximum = float((self.null - self.null_means).max(axis=1).mean())
        value = float(self.excesses.max()) - null_maximum
        return IntervalEstimate(value, centred_bootstrap(value, (self.resampled - self.null_means).max(axis=1), -1.0, 1.0))

    @property
    def by_excess(self) -> list[int]:
        """Indices of subgroups by excess, largest first."""
        return [int(i) for i in np.argsort(-self.excesses, kind="stable")]


def groupwise_ece(
    confidence: Floats, correct: Floats, grouping: Grouping, minimum: int, settings: ResamplingSettings, seed: list[int]
) -> SubgroupErrors | None:
    """ECE of each group of at least ``minimum`` examples; ``None`` where fewer than two groups are so large.

    A small group has a large ECE by chance alone: read it against the null.

    Args:
        confidence: Of the predicted classes, ``(n,)``.
        correct: 0 or 1, ``(n,)``.
        grouping: Groups of the examples.
        minimum: Examples that a group needs.
        settings: Bins and resampling.
        seed: Of the draws.
    """
    chosen = np.flatnonzero(grouping.sizes >= minimum)
    if len(chosen) < 2:
        return None
    by_group = [confidence_levels(confidence[grouping.codes == code], correct[grouping.codes == code]) for code in chosen]
    overconfidence = [float((confidence - correct)[grouping.codes == code].mean()) for code in chosen]
    null, resampled = [], []
    for place, levels in enumerate(by_group):
        settings.check()
        null.append(_errors(calibrated_resamples(levels, settings.draws, np.random.default_rng([*seed, place, 0])), settings.bins))
        resampled.append(_errors(bootstrap_resamples(levels, settings.draws, np.random.default_rng([*seed, place, 1])), settings.bins))
    values = np.array([expected_calibration_error(levels, settings.bins)[0] for levels in by_group])
    names, sizes = tuple(grouping.names[code] for code in chosen), grouping.sizes[chosen].astype(np.float64)
    return SubgroupErrors(names, sizes, values, np.array(overconfidence), np.stack(null, axis=1), np.stack(resampled, axis=1))


def _errors(chunks: Iterable[ConfidenceLevels], bins: int) -> Floats:
    return np.concatenate([expected_calibration_error(chunk, bins) for chunk in chunks])


def classwise_ece(probability: Floats, labels: NDArray[np.int64], names: Sequence[str], settings: ResamplingSettings, seed: list[int]) -> SubgroupErrors:
    """Calibration error of each class, one against the rest, whichever class was predicted.

    Kull et al. 2019 (classwise-ECE) with the equal-mass bins of Nixon et al. 2019, placed as in
    :func:`efficient360.methods.uncertainty.ece.expected_calibration_error`. The null draws every example's class from its predicted distribution
    (Bröcker & Smith 2007), which preserves the dependence between classes; bins stay fixed in the null and in resamples.

    Args:
        probability: ``(n, K)``, rows that sum to 1.
        labels: ``(n,)``.
        names: Name of each class, ``K``.
        settings: Bins and resampling.
        seed: Of the draws.
    """
    n, classes = probability.shape
    bins = _assign_bins(probability, settings)
    expected = _expected_counts(probability, bins, settings)
    observed = _observed_counts(labels, bins, settings.bins)
    cells = classes * settings.bins
    shape = (settings.draws, classes, settings.bins)
    null_counts, resampled_gaps = np.zeros((settings.draws, cells), dtype=np.int32), np.zeros(shape)
    null_rng, bootstrap_rng = np.random.default_rng([*seed, 0]), np.random.default_rng([*seed, 1])
    weights = bootstrap_weights(n, settings.draws, bootstrap_rng)
    for rows in _row_blocks(n):
        settings.check()
        block, block_bins = probability[rows].astype(np.float64), bins[rows]
        null_counts += _draw_null_counts(block, block_bins, settings, null_rng)
        resampled_gaps += _resample_gaps(block, labels[rows], block_bins, weights[:, rows], settings.bins)
    null = np.abs(expected - null_counts.reshape(shape)).sum(axis=2) / n
    overconfidence = (expected - observed).sum(axis=1) / n
    values = np.abs(expected - observed).sum(axis=1) / n
    sizes = np.bincount(labels, minlength=classes).astype(np.float64)
    resampled = np.abs(resampled_gaps).sum(axis=2) / n
    return SubgroupErrors(tuple(names), sizes, np.minimum(values, 1.0), overconfidence, np.minimum(null, 1.0), resampled)


def _assign_bins(probability: Floats, settings: ResamplingSettings) -> NDArray[np.uint16]:
    """Bin of each example for each class, ``(n, K)``: of equal mass, equal probabilities in the same bin."""
    n, classes = probability.shape
    starts = np.unique(np.arange(1, settings.bins) * n // settings.bins)
    bins = np.empty((n, classes), dtype=np.uint16)
    for label in range(classes):
        if label % 64 == 0:
            settings.check()
        column = probability[:, label]
        bins[:, label] = np.searchsorted(np.sort(column)[starts], column, side="right")
    return bins


def _expected_counts(probability: Floats, bins: NDArray[np.uint16], settings: ResamplingSettings) -> Floats:
    """Sum of probabilities by class and bin, ``(K, bins)``."""
    classes = probability.shape[1]
    return np.stack([np.bincount(bins[:, k], probability[:, k], minlength=settings.bins) for k in range(classes)])


def _observed_counts(labels: NDArray[np.int64], bins: NDArray[np.uint16], bin_count: int) -> Floats:
    """How often each class occurs in each of its bins, ``(K, bins)``."""
    classes = bins.shape[1]
    cells = labels * bin_count + bins[np.arange(len(labels)), labels]
    return np.bincount(cells, minlength=classes * bin_count).reshape(classes, bin_count).astype(np.float64)


def _draw_null_counts(block: Floats, bins: NDArray[np.uint16], settings: ResamplingSettings, rng: np.random.Generator) -> NDArray[Any]:
    """How often each class is drawn in each of its bins, ``(draws, K · bins)``, when classes are drawn from the probabilities ``(c, K)``."""
    rows, classes = block.shape
    cumulative = np.cumsum(block, axis=1)
    cumulative /= cumulative[:, -1:]
    # Row i's distribution shifted by i: one ascending sequence, searched at once.
    ascending = (cumulative + np.arange(rows)[:, None]).ravel()
    uniform = rng.random((settings.draws, rows)) + np.arange(rows)
    labels = np.searchsorted(ascending, uniform, side="right") - np.arange(rows) * classes
    labels = np.clip(labels, 0, classes - 1)
    cells = labels * settings.bins + bins[np.arange(rows), labels]
    width = classes * settings.bins
    cells += np.arange(settings.draws)[:, None] * width
    return np.bincount(cells.ravel(), minlength=settings.draws * width).reshape(settings.draws, width)


def _resample_gaps(block: Floats, labels: NDArray[np.int64], bins: NDArray[np.uint16], weights: Floats, bin_count: int) -> Floats:
    """Sum of probability minus occurrence by class and bin, each example weighted by how often it was drawn, ``(draws, K, bins)``."""
    gap = block.copy()
    gap[np.arange(len(gap)), labels] -= 1
    return np.stack([weights @ np.where(bins == b, gap, 0.0) for b in range(bin_count)], axis=2)


def _row_blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, ROWS):
        yield slice(start, min(start + ROWS, n))
