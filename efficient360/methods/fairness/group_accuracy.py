"""Accuracy by group: fairlearn's MetricFrame, the difference and the ratio with intervals, and the permutation null."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.measurement import LEVEL, Interval
from efficient360.core.statistics import MonteCarloTest, centred_bootstrap, monte_carlo_test, wilson
from efficient360.methods.fairness.disparity import GroupedPredictions
from efficient360.methods.fairness.resampling import SIMULTANEOUS, chunk_sizes


@final
@dataclass(frozen=True)
class GroupMetrics:
    """Metrics by group as fairlearn's MetricFrame computes them.

    Args:
        sizes: Examples per group, int64 ``(G,)``.
        accuracy: Accuracy of each group, float64 ``(G,)``.
        overconfidence: Mean confidence minus accuracy, float64 ``(G,)``.
        difference: Highest minus lowest accuracy.
        ratio: Lowest over highest accuracy; ``None`` when no group has a correct prediction.
        group_min: Lowest accuracy.
    """

    sizes: NDArray[np.int64]
    accuracy: Floats
    overconfidence: Floats
    difference: float
    ratio: float | None
    group_min: float

    @property
    def hits(self) -> NDArray[np.int64]:
        """Correct predictions per group, int64 ``(G,)``."""
        hits: NDArray[np.int64] = np.rint(self.accuracy * self.sizes).astype(np.int64)
        return hits


def group_metrics(predictions: GroupedPredictions) -> GroupMetrics:
    """Disaggregated metrics of every group through ``fairlearn.metrics.MetricFrame`` (Bird et al. 2020)."""
    from fairlearn.metrics import MetricFrame, count  # slow to import: it brings pandas
    from sklearn.metrics import accuracy_score

    frame = MetricFrame(
        metrics={"count": count, "accuracy": accuracy_score, "overconfidence": _overconfidence},
        y_true=predictions.labels,
        y_pred=predictions.predicted,
        sensitive_features=predictions.codes,
        sample_params={"overconfidence": {"confidence": predictions.confidence}},
    )
    columns = {name: frame.by_group[name].to_numpy(dtype=np.float64) for name in ("count", "accuracy", "overconfidence")}
    ratio = float(frame.ratio()["accuracy"])
    return GroupMetrics(
        columns["count"].astype(np.int64),
        columns["accuracy"],
        columns["overconfidence"],
        float(frame.difference()["accuracy"]),
        ratio if np.isfinite(ratio) else None,
        float(frame.group_min()["accuracy"]),
    )


def _overconfidence(y_true: Any, y_pred: Any, confidence: Any) -> float:
    return float(np.mean(confidence) - np.mean(y_true == y_pred))


@final
@dataclass(frozen=True)
class GroupCounts:
    """Hits and examples by group or class: correct predictions behind an accuracy, covered examples behind a coverage.

    Args:
        hits: Hits per group, int64 ``(G,)``.
        sizes: Examples per group, int64 ``(G,)``, at least 1.
    """

    hits: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def rates(self) -> Floats:
        """Share of hits in each group, float64 ``(G,)`` in [0, 1]."""
        rates: Floats = self.hits / self.sizes
        return rates

    @property
    def n(self) -> int:
        """Examples in total."""
        return int(self.sizes.sum())

    @property
    def overall(self) -> float:
        """Share of hits over all examples."""
        return int(self.hits.sum()) / self.n

    @property
    def worst(self) -> int:
        """Index of the group of lowest rate, the first of equal ones."""
        return int(np.argmin(self.rates))

    def interval(self, group: int) -> Interval:
        """Wilson interval of one group's rate."""
        return wilson(int(self.hits[group]), int(self.sizes[group]))


def lowest_interval(*families: GroupCounts) -> Interval:
    """Interval of the lowest true rate of any group, whichever it is: the selection of the lowest one is part of it.

    The true lowest rate is at most every group's, so its upper end is the lowest of the groups' upper ends, which must hold for all at once (Šidák 1967); its
    lower end is the lowest of their lower ends, each by itself, since only the truly lowest group's has to hold.

    Args:
        families: Groups of one column each, at least one group in total.
    """
    groups = [(int(hits), int(size)) for counts in families for hits, size in zip(counts.hits, counts.sizes, strict=True)]
    tail = (1 - LEVEL) / 2
    simultaneous = 1 - 2 * (1 - (1 - tail) ** (1 / len(groups)))
    low = min(wilson(hits, size).low for hits, size in groups)
    high = min(wilson(hits, size, simultaneous).high for hits, size in groups)
    value = min(hits / size for hits, size in groups)
    return Interval(min(low, value), max(high, value), "wilson-simultaneous")


def count_hits(codes: NDArray[np.int64], correct: NDArray[np.floating[Any]], groups: int) -> GroupCounts:
    """Hits by group of 0/1 values ``(n,)``; codes ``(n,)`` are 0 … groups − 1, and every group has an example."""
    hits = np.bincount(codes, weights=correct, minlength=groups)
    return GroupCounts(hits.astype(np.int64), np.bincount(codes, minlength=groups).astype(np.int64))


def null_rates(counts: GroupCounts, draws: int, rng: np.random.Generator) -> Floats:
    """Rates by group under permuted group labels, ``(draws, G)``.

    The permuted counts are multivariate hypergeometric, so they are drawn directly.
    """
    hits = rng.multivariate_hypergeometric(counts.sizes, int(counts.hits.sum()), size=draws, method="marginals")
    rates: Floats = hits / counts.sizes
    return rates


def bootstrap_errors(counts: GroupCounts, draws: int, rng: np.random.Generator) -> Floats:
    """Sampling errors of the rates by group, ``(draws, G)``: a parametric bootstrap.

    Drawn from ``(hits + 2) / (size + 4)`` (Agresti & Coull 1998), so that a group without a miss still has sampling error.
    """
    rate = (counts.hits + 2) / (counts.sizes + 4)
    errors: Floats = rng.binomial(counts.sizes, rate, (draws, len(counts.sizes))) / counts.sizes - rate
    return errors


def differences(rates: Floats) -> Floats:
    """Highest minus lowest of each row of ``(r, G)``, ``(r,)``."""
    spread: Floats = rates.max(axis=1) - rates.min(axis=1)
    return spread


def difference_interval(counts: GroupCounts, errors: Floats) -> Interval:
    """Interval of the true difference between the best and the worst group, whichever they are.

    The observed and the true range differ by the range of the errors at most (triangle inequality), so its 95 % quantile to both sides covers, as
    Tukey's studentized range does for all pairs at once. For two groups it is the usual interval of a difference, cut at 0.
    """
    value = float(differences(counts.rates[None])[0])
    reach = float(np.quantile(differences(errors), 0.95))
    return Interval(max(0.0, value - reach), min(1.0, value + reach), SIMULTANEOUS)


def ratio(counts: GroupCounts) -> float | None:
    """Lowest over highest rate, in [0, 1]; ``None`` when no group has a hit."""
    highest = float(counts.rates.max())
    return float(counts.rates.min()) / highest if highest > 0 else None


def ratio_interval(counts: GroupCounts, errors: Floats) -> Interval:
    """Interval of the true ratio of lowest to highest rate: the argument of :func:`difference_interval` applied to the logarithms."""
    value = ratio(counts) or 0.0
    rate = (counts.hits + 2) / (counts.sizes + 4)
    # The bootstrap's own logarithm must be finite: half a hit at least.
    log_errors = np.log(np.maximum(rate + errors, 0.5 / counts.sizes)) - np.log(rate)
    reach = float(np.quantile(differences(log_errors), 0.95))
    centre = float(np.log(rate).max() - np.log(rate).min()) if value == 0 else -float(np.log(value))
    low = 0.0 if value == 0 else float(np.exp(-(centre + reach)))
    return Interval(min(value, low), max(value, min(1.0, float(np.exp(-(centre - reach))))), SIMULTANEOUS)


def p_values_against_rest(counts: GroupCounts, null: Floats) -> Floats:
    """p-value of each group's distance from the overall rate, corrected for the number of groups, ``(G,)``.

    Single-step maxT (Westfall & Young 1993): a group's standardised distance against the largest of any group in each draw of :func:`null_rates`.
    """
    spread = np.sqrt(counts.overall * (1 - counts.overall) * np.maximum(1 / counts.sizes - 1 / counts.n, 0))
    if not spread.all():
        return np.ones(len(counts.sizes))  # all hits, no hits or a single group: there is no distance
    observed, largest = np.abs(counts.rates - counts.overall) / spread, (np.abs(null - counts.overall) / spread).max(axis=1)
    reached = (largest[:, None] >= observed - 1e-9).sum(axis=0)
    p_values: Floats = (reached + 1) / (len(null) + 1)
    return p_values


@final
@dataclass(frozen=True)
class AccuracyDisparity:
    """The accuracy difference between groups, tested, and what follows from the same draws.

    Args:
        counts: Correct predictions of the compared groups.
        versus_null: The accuracy difference against its permutation null.
        interval: Of the true difference.
        excess_interval: Of the difference minus its mean under the null.
        resampled: The difference of bootstrap resamples, ``(resamples,)``.
        ratio_interval: Of the true ratio; ``None`` where there is no ratio.
        worst_null: Lowest accuracy of each draw of the null, ``(permutations,)``.
        p_values: Of each group against the rest, corrected for their number, ``(G,)``.
    """

    counts: GroupCounts
    versus_null: MonteCarloTest
    interval: Interval
    excess_interval: Interval
    resampled: Floats
    ratio_interval: Interval | None
    worst_null: Floats
    p_values: Floats


def accuracy_disparity(counts: GroupCounts, permutations: int, resamples: int, rng: np.random.Generator, check: Callable[[], None]) -> AccuracyDisparity:
    """Test the accuracy difference between at least two groups.

    Args:
        counts: Correct predictions by group.
        permutations: Draws of the null.
        resamples: Draws of the bootstrap.
        rng: Source of randomness.
        check: Called between chunks of work; may raise.
    """

    def chunks(total: int) -> Iterator[int]:
        for rows in chunk_sizes(total, len(counts.sizes)):
            check()
            yield rows

    null = np.concatenate([null_rates(counts, rows, rng) for rows in chunks(permutations)])
    errors = np.concatenate([bootstrap_errors(counts, rows, rng) for rows in chunks(resamples)])
    versus_null = monte_carlo_test(float(differences(counts.rates[None])[0]), differences(null))
    resampled = differences(counts.rates + errors)
    return AccuracyDisparity(
        counts,
        versus_null,
        difference_interval(counts, errors),
        centred_bootstrap(versus_null.excess, resampled, -1.0, 1.0),
        resampled,
        None if ratio(counts) is None else ratio_interval(counts, errors),
        null.min(axis=1),
        p_values_against_rest(counts, null),
    )
