"""The group fairness criteria as disparities: demographic parity and equalized odds, one class against the rest, and calibration within groups."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.methods.fairness.disparity import Disparity, GroupedPredictions
from efficient360.methods.fairness.resampling import binomial_errors, multinomial_errors, permutations, permuted_tables, stratified_resamples

MEAN, WORST = "mean", "worst"


@final
@dataclass(frozen=True)
class DemographicParity(Disparity):
    """Selection rates: the share of a group's examples for which each class is predicted. Demographic parity requires them to be equal.

    Under equal rates the predictions are exchangeable over all examples: the null permutes the groups whatever the true class is.
    """

    summaries: ClassVar[tuple[str, ...]] = (MEAN, WORST)
    predictions: GroupedPredictions

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each class is predicted in each group, int64 ``(G, K)``."""
        return self.predictions.class_counts(self.predictions.predicted)

    def observed(self) -> Floats:
        rates: Floats = (self.counts / self.predictions.sizes[:, None])[None]
        return rates

    def null(self, draws: int, rng: np.random.Generator) -> Floats:
        sizes = self.predictions.sizes
        rates: Floats = permuted_tables(self.counts.sum(axis=0), sizes, draws, rng) / sizes[:, None]
        return rates

    def resampled(self, draws: int, rng: np.random.Generator) -> Floats:
        sizes = self.predictions.sizes
        rates = [rng.multinomial(size, counts / size, draws) / size for size, counts in zip(sizes, self.counts, strict=True)]
        return np.stack(rates, axis=1)

    def sampling_errors(self, draws: int, rng: np.random.Generator) -> Floats:
        return multinomial_errors(self.counts, draws, rng)

    def differences(self, rates: Floats) -> Floats:
        return _mean_and_worst(self.class_differences(rates))

    def class_differences(self, rates: Floats) -> Floats:
        """Highest minus lowest selection rate over the groups for each class, ``(r, K)``."""
        return _range_over_groups(rates)

    @property
    def width(self) -> int:
        return len(self.predictions.sizes) * self.predictions.classes


@final
@dataclass(frozen=True)
class ConfusionRow:
    """Predictions for the examples of one true class, by group.

    Args:
        label: The true class.
        classes: Classes that were predicted for them, ``(P,)``.
        counts: How often each was predicted in each group, int64 ``(G, P)``.
    """

    label: int
    classes: NDArray[np.int64]
    counts: NDArray[np.int64]


@final
@dataclass(frozen=True)
class EqualizedOdds(Disparity):
    """True and false positive rates of each class against the rest. Equalized odds requires both to be equal (Hardt et al. 2016).

    They are rates given the true class, so the null permutes the groups within each class. A group with fewer than ``minimum`` examples of a class, or
    of the others, has no rate there; a class for which fewer than two groups have both rates is left out.

    Args:
        predictions: Of the compared groups.
        minimum: Examples behind a rate, at least 1.
    """

    summaries: ClassVar[tuple[str, ...]] = (MEAN, WORST)
    predictions: GroupedPredictions
    minimum: int

    @cached_property
    def positives(self) -> NDArray[np.int64]:
        """Examples of each class by group, int64 ``(G, K)``."""
        return self.predictions.class_counts(self.predictions.labels)

    @cached_property
    def has_rates(self) -> NDArray[np.bool_]:
        """Whether a group has enough examples for both rates of a class, bool ``(G, K)``."""
        negatives = self.predictions.sizes[:, None] - self.positives
        enough: NDArray[np.bool_] = (self.positives >= self.minimum) & (negatives >= self.minimum)
        return enough

    @cached_property
    def compared_classes(self) -> NDArray[np.int64]:
        """Classes for which at least two groups have both rates, ``(C,)``."""
        compared: NDArray[np.int64] = np.flatnonzero(self.has_rates.sum(axis=0) >= 2)
        return compared

    @cached_property
    def confusion(self) -> tuple[ConfusionRow, ...]:
        """Predictions for the examples of each true class that occurs."""
        predictions, rows = self.predictions, []
        groups = len(predictions.sizes)
        order = np.argsort(predictions.labels, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(predictions.labels[order])) + 1):
            classes, index = np.unique(predictions.predicted[members], return_inverse=True)
            cells = np.bincount(predictions.codes[members] * len(classes) + index, minlength=groups * len(classes))
            rows.append(ConfusionRow(int(predictions.labels[members[0]]), classes, cells.reshape(groups, len(classes)).astype(np.int64)))
        return tuple(rows)

    def observed(self) -> Floats:
        return self._rates(1, lambda row: row.counts[None])

    def null(self, draws: int, rng: np.random.Generator) -> Floats:
        return self._rates(draws, lambda row: permuted_tables(row.counts.sum(axis=0), row.counts.sum(axis=1), draws, rng))

    def resampled(self, draws: int, rng: np.random.Generator) -> Floats:
        def multinomial(row: ConfusionRow) -> NDArray[np.int64]:
            return np.stack([rng.multinomial(counts.sum(), counts / max(counts.sum(), 1), draws) for counts in row.counts], axis=1)

        return self._rates(draws, multinomial)

    def sampling_errors(self, draws: int, rng: np.random.Generator) -> Floats:
        counts, sizes = self._counts(1, lambda row: row.counts[None])
        return binomial_errors(counts[0], sizes, draws, rng)

    def _rates(self, draws: int, draw: Callable[[ConfusionRow], NDArray[np.int64]]) -> Floats:
        """True positive rates of the compared classes, then their false positive rates, ``(draws, G, 2C)``; 0 where a group has no rate."""
        counts, sizes = self._counts(draws, draw)
        has_rates = np.tile(self.has_rates[:, self.compared_classes], 2)
        return np.where(has_rates, counts / np.maximum(sizes, 1), 0.0)

    def _counts(self, draws: int, draw: Callable[[ConfusionRow], NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """True positives of the compared classes, then their false positives, ``(draws, G, 2C)``, and out of how many, ``(G, 2C)``."""
        groups = len(self.predictions.sizes)
        hits, selected = (np.zeros((draws, groups, self.predictions.classes), dtype=np.int64) for _ in range(2))
        for row in self.confusion:
            counts = draw(row)
            selected[:, :, row.classes] += counts
            correct = np.flatnonzero(row.classes == row.label)
            if len(correct):
                hits[:, :, row.label] = counts[:, :, correct[0]]
        hits, selected, positives = hits[:, :, self.compared_classes], selected[:, :, self.compared_classes], self.positives[:, self.compared_classes]
        negatives = self.predictions.sizes[:, None] - positives
        return np.concatenate([hits, selected - hits], axis=2), np.concatenate([positives, negatives], axis=1)

    def differences(self, rates: Floats) -> Floats:
        tpr, fpr = self.class_differences(rates)
        return _mean_and_worst(np.maximum(tpr, fpr))

    def class_differences(self, rates: Floats) -> tuple[Floats, Floats]:
        """Highest minus lowest true positive rate over the groups for each compared class, ``(r, C)``, and likewise of the false positive rate."""
        has_rates = np.tile(self.has_rates[:, self.compared_classes], 2)
        spread = np.where(has_rates, rates, -np.inf).max(axis=1) - np.where(has_rates, rates, np.inf).min(axis=1)
        return spread[:, : len(self.compared_classes)], spread[:, len(self.compared_classes) :]

    @property
    def width(self) -> int:
        return 2 * len(self.predictions.sizes) * self.predictions.classes


@final
@dataclass(frozen=True)
class CalibrationWithinGroups(Disparity):
    """Overconfidence of each group: mean confidence minus accuracy.

    Unlike a binned calibration error it has no bias that grows as groups get smaller, so that groups are comparable.
    """

    summaries: ClassVar[tuple[str, ...]] = ("",)
    maximum: ClassVar[float] = 2.0
    predictions: GroupedPredictions

    @cached_property
    def residual(self) -> Floats:
        """Confidence minus correctness of each example, ``(n,)`` in [−1, 1]."""
        residual: Floats = self.predictions.confidence - self.predictions.correct
        return residual

    def observed(self) -> Floats:
        return self._means(self.residual[None])

    def null(self, draws: int, rng: np.random.Generator) -> Floats:
        return self._means(self.residual[permutations(len(self.predictions), draws, rng)])

    def resampled(self, draws: int, rng: np.random.Generator) -> Floats:
        return self._means(self.residual[stratified_resamples(self.predictions.codes, draws, rng)])

    def sampling_errors(self, draws: int, rng: np.random.Generator) -> Floats:
        sizes = self.predictions.sizes[None, :, None]
        return (self.resampled(draws, rng) - self.observed()) * np.sqrt(sizes / np.maximum(sizes - 1, 1))

    def _means(self, residuals: Floats) -> Floats:
        starts = np.cumsum(self.predictions.sizes) - self.predictions.sizes
        means: Floats = (np.add.reduceat(residuals, starts, axis=1) / self.predictions.sizes)[:, :, None]
        return means

    def differences(self, rates: Floats) -> Floats:
        return _range_over_groups(rates)

    @property
    def width(self) -> int:
        return len(self.predictions)


def _range_over_groups(rates: Floats) -> Floats:
    spread: Floats = rates.max(axis=1) - rates.min(axis=1)
    return spread


def _mean_and_worst(class_differences: Floats) -> Floats:
    return np.stack([class_differences.mean(axis=1), class_differences.max(axis=1)], axis=1)
