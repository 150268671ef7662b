"""Disparities between groups: largest difference of a rate, its permutation test and its bootstrap intervals."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats, Integers
from efficient360.core.measurement import Interval
from efficient360.core.statistics import MonteCarloTest, centred_bootstrap, monte_carlo_test
from efficient360.methods.fairness.resampling import SIMULTANEOUS, chunk_sizes


@final
@dataclass(frozen=True)
class GroupedPredictions:
    """A classifier's predictions, sorted by group.

    Args:
        labels: True classes, int64 ``(n,)``.
        predicted: Predicted classes, int64 ``(n,)``.
        confidence: Probability of the predicted class, float64 ``(n,)``.
        codes: Group of each example, ascending, 0 … G − 1, int64 ``(n,)``; every group has an example.
        classes: Number of classes ``K``.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.floating[Any]]
    codes: NDArray[np.int64]
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each example was classified correctly, bool ``(n,)``."""
        correct: NDArray[np.bool_] = self.labels == self.predicted
        return correct

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Examples per group, int64 ``(G,)``."""
        return np.bincount(self.codes).astype(np.int64)

    def class_counts(self, classes: Integers) -> NDArray[np.int64]:
        """How often each class occurs in ``classes`` ``(n,)`` by group, int64 ``(G, K)``."""
        groups = int(self.codes[-1]) + 1
        return np.bincount(self.codes * self.classes + classes, minlength=groups * self.classes).reshape(groups, self.classes).astype(np.int64)


class Disparity(ABC):
    """One or more rates of every group, and their largest differences between groups.

    The differences are seminorms of the rates: 0 when all groups are alike, and obeying the triangle inequality.
    """

    summaries: ClassVar[tuple[str, ...]]
    """Names of its differences, ``S`` of them."""
    maximum: ClassVar[float] = 1.0
    """The largest possible difference."""

    @abstractmethod
    def observed(self) -> Floats:
        """The observed rates, ``(1, G, Q)``."""

    @abstractmethod
    def null(self, draws: int, rng: np.random.Generator) -> Floats:
        """Rates ``(draws, G, Q)`` under the null: the same predictions with permuted group labels."""

    @abstractmethod
    def resampled(self, draws: int, rng: np.random.Generator) -> Floats:
        """Rates ``(draws, G, Q)`` of examples resampled with replacement within each group."""

    @abstractmethod
    def sampling_errors(self, draws: int, rng: np.random.Generator) -> Floats:
        """Errors ``(draws, G, Q)`` by which rates of as many examples differ from the true ones."""

    @abstractmethod
    def differences(self, rates: Floats) -> Floats:
        """Differences ``(r, S)``, non-negative, between the groups of rates ``(r, G, Q)``."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Values held per draw."""


@final
@dataclass(frozen=True)
class DisparityTest:
    """One difference between groups with its permutation test and intervals.

    Args:
        summary: Name of the difference.
        versus_null: The difference against its permutation null.
        interval: Of the true difference.
        excess_interval: Of the difference minus its mean under the null.
        resampled: The difference of bootstrap resamples, ``(resamples,)``.
    """

    summary: str
    versus_null: MonteCarloTest
    interval: Interval
    excess_interval: Interval
    resampled: Floats


def measure_disparity(
    disparity: Disparity, permutations: int, resamples: int, rng: np.random.Generator, check: Callable[[], None]
) -> tuple[DisparityTest, ...]:
    """Every difference of a disparity against its permutation null.

    Args:
        disparity: What is compared between groups.
        permutations: Draws of the null.
        resamples: Draws of the bootstrap.
        rng: Source of randomness.
        check: Called between chunks of work; may raise.
    """
    observed = disparity.observed()
    null_chunks, resampled_chunks, error_chunks = [], [], []
    for rows in chunk_sizes(permutations, disparity.width):
        check()
        null_chunks.append(disparity.differences(disparity.null(rows, rng)))
    for rows in chunk_sizes(resamples, disparity.width):
        check()
        resampled_chunks.append(disparity.differences(disparity.resampled(rows, rng)))
        error_chunks.append(disparity.differences(disparity.sampling_errors(rows, rng)))
    values, null, resampled, errors = (disparity.differences(observed)[0], *map(np.concatenate, (null_chunks, resampled_chunks, error_chunks)))
    tests = []
    for i, summary in enumerate(disparity.summaries):
        value, reach = float(values[i]), float(np.quantile(errors[:, i], 0.95))
        versus_null = monte_carlo_test(value, null[:, i])
        interval = Interval(max(0.0, value - reach), min(disparity.maximum, value + reach), SIMULTANEOUS)
        excess = centred_bootstrap(versus_null.excess, resampled[:, i], -disparity.maximum, disparity.maximum)
        tests.append(DisparityTest(summary, versus_null, interval, excess, resampled[:, i]))
    return tuple(tests)


def largest_excess_interval(excesses: Sequence[float], resampled: Sequence[Floats], maximum: float) -> Interval:
    """Interval of the largest true excess of several groupings, whichever has it: the selection of the largest one is part of it.

    The largest observed excess is also that of the grouping that was unlucky, so its lower end must hold for all groupings at once: it lies below by the
    97.5 % quantile of the largest of their bootstrapped errors. The upper end is the highest of their upper ends, each by itself.

    Args:
        excesses: Of each grouping.
        resampled: The difference of bootstrap resamples of each, ``(r,)``; as many resamples for all.
        maximum: Largest possible difference.
    """
    errors = np.stack([draws - draws.mean() for draws in resampled])
    below = float(np.quantile(np.maximum(errors, -errors).max(axis=0), 0.95) if len(excesses) > 1 else -np.quantile(errors[0], 0.025))
    above = np.quantile(errors, 0.975, axis=1)
    value = max(excesses)
    high = max(excess + float(reach) for excess, reach in zip(excesses, above, strict=True))
    return Interval(max(-maximum, min(value, value - below)), min(maximum, max(value, high)), "centred-bootstrap")
