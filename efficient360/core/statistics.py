"""Confidence intervals and significance tests, thin over scipy. Intervals are 95 %, two-sided; a range says that it is none.

Intervals of a proportion, of a difference of two proportions, of a mean, of a median and of any bootstrapped statistic; paired tests, Monte Carlo tests
against a null distribution, and Holm's correction for several tests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.core.arrays import Floats
from efficient360.core.measurement import LEVEL, Interval, Metric

FEWEST_FOR_MEDIAN = 6
"""Fewest values whose smallest and largest enclose the median with at least 95 % confidence."""
FEWEST_FOR_BOOTSTRAP = 10
"""Fewest values of which resamples are taken: a bootstrap never leaves their range, which misses the mean of four in one case of eight."""
FEWEST_FOR_T = 15
"""Fewest differences other than 0 of which a t-test is made; of fewer all signs are tried."""
ROUNDING = 1e-12
"""Relative difference below which a null draw counts as equal to the observed statistic."""
Values = NDArray[np.floating[Any]]


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Wilson score interval of a proportion (Wilson 1927), within [0, 1].

    Raises:
        ValueError: ``n`` is 0 or ``successes`` is outside ``0 … n``.
    """
    result = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    return Interval(float(result.low), float(result.high), "wilson", level)


def clopper_pearson(successes: int, n: int) -> Interval:
    """Exact interval of a proportion (Clopper & Pearson 1934): never under-covers, for tails with few events."""
    result = stats.binomtest(successes, n).proportion_ci(LEVEL, method="exact")
    return Interval(float(result.low), float(result.high), "clopper-pearson")


def newcombe(hits: int, n: int, other_hits: int, other_n: int) -> Interval:
    """Hybrid score interval of ``hits / n − other_hits / other_n``, of two independent samples, within [−1, 1].

    Newcombe 1998, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17, 873–890, method 10: the distances
    to the Wilson limits of both proportions, added in quadrature.

    Raises:
        ValueError: A sample is empty, or has more hits than examples.
    """
    first, second = wilson(hits, n), wilson(other_hits, other_n)
    p, q = hits / n, other_hits / other_n
    low = p - q - math.hypot(p - first.low, second.high - q)
    high = p - q + math.hypot(first.high - p, q - second.low)
    return Interval(max(-1.0, low), min(1.0, high), "newcombe")


def newcombe_paired(both: int, only_first: int, only_second: int, neither: int) -> Interval:
    """Score interval of the difference of two paired proportions: accuracy at the first evaluation minus the second, on the same examples, within [−1, 1].

    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on paired data", Statistics in Medicine 17,
    2635–2650, method 10: as :func:`newcombe`, allowing for the correlation of the two outcomes, which is continuity-corrected where positive.

    Args:
        both: Examples correct both times.
        only_first: Correct the first time only.
        only_second: Correct the second time only.
        neither: Incorrect both times.

    Raises:
        ValueError: There is no example.
    """
    n = both + only_first + only_second + neither
    hits, other_hits = both + only_first, both + only_second
    first, second = wilson(hits, n), wilson(other_hits, n)
    p, q = hits / n, other_hits / n
    spread = math.sqrt(hits * (n - hits)) * math.sqrt(other_hits * (n - other_hits))
    product = both * neither - only_first * only_second
    correlation = (max(product - n / 2, 0.0) if product > 0 else product) / spread if spread else 0.0
    low = p - q - _correlated_distance(p - first.low, second.high - q, correlation)
    high = p - q + _correlated_distance(first.high - p, q - second.low, correlation)
    return Interval(max(-1.0, low), min(1.0, high), "newcombe-paired")


def _correlated_distance(a: float, b: float, correlation: float) -> float:
    return math.sqrt(max(0.0, a * a - 2 * correlation * a * b + b * b))


def bootstrap_mean(values: Values, seed: int, resamples: int = 1000) -> Interval:
    """Bootstrap-t interval (Efron & Tibshirani 1993, section 12.5) of the mean of ``values``, shape ``(n,)``, within their range.

    Each resample's mean is divided by its own standard error, so that skewed values get the uneven interval they need: of means of twenty losses, most near 0
    and a few large, percentiles cover some 88 % and this 95 %. Fewer than :data:`FEWEST_FOR_BOOTSTRAP` values can't show their own tails: Student's t there.
    The resampling is seeded, so the same values give the same interval. A constant sample gives a point.
    """
    values = np.asarray(values, dtype=np.float64)
    n, mean = len(values), float(values.mean())
    if n < 2 or np.ptp(values) <= ROUNDING * np.abs(values).max():
        return Interval(mean, mean, "bootstrap-t")
    if n < FEWEST_FOR_BOOTSTRAP:
        return student(values, "student-t")
    deviations = _studentised(values - mean, resamples, np.random.default_rng(seed))
    error = float(values.std(ddof=1)) / math.sqrt(n)
    low, high = np.quantile(deviations, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    ends = np.clip([mean - error * max(high, 0.0), mean - error * min(low, 0.0)], values.min(), values.max())
    return Interval(min(float(ends[0]), mean), max(float(ends[1]), mean), "bootstrap-t")


def _studentised(centred: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Means of resamples of values ``(n,)`` with mean 0, each over its own standard error, ``(r,)``; constant resamples are left out."""
    n, chunks = len(centred), []
    rows = max(1, min(resamples, 4_000_000 // n))
    for start in range(0, resamples, rows):
        drawn = centred[rng.integers(0, n, (min(rows, resamples - start), n))]
        spread = drawn.std(axis=1, ddof=1)
        varied = spread > ROUNDING * np.abs(centred).max()
        chunks.append(drawn.mean(axis=1)[varied] * math.sqrt(n) / spread[varied])
    deviations = np.concatenate(chunks)
    return deviations if len(deviations) else np.zeros(1)


def within(interval: Interval, metric: Metric) -> Interval:
    """The interval cut at the bounds of its metric."""
    low = interval.low if metric.low is None else max(interval.low, metric.low)
    high = interval.high if metric.high is None else min(interval.high, metric.high)
    return replace(interval, low=low, high=high)


def mean_interval(values: Values, seed: int) -> Interval:
    """Interval of a mean: Wilson when every value is 0 or 1, bootstrap otherwise."""
    values = np.asarray(values, dtype=np.float64)
    if is_binary(values):
        return wilson(int(values.sum()), len(values))
    return bootstrap_mean(values, seed)


def is_binary(*values: Values) -> bool:
    """Whether every value is 0 or 1: right or wrong."""
    return all(bool(np.isin(some, (0.0, 1.0)).all()) for some in values)


def percentiles(draws: Any, method: str) -> Interval:
    """The central 95 % of ``draws``, shape ``(r,)``: bootstrap resamples of a statistic, or draws from its null distribution."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(float(low), float(high), method)


def percentiles_around(value: float, draws: Any, method: str) -> Interval:
    """As :func:`percentiles`, widened to include ``value``, the statistic of the sample itself, should every resample miss it."""
    interval = percentiles(draws, method)
    return Interval(min(interval.low, value), max(interval.high, value), interval.method)


def student(values: Values, method: str) -> Interval:
    """Student's t interval of the mean of independent ``values`` (Student 1908), shape ``(n,)`` with ``n`` at least 2. A constant sample gives a point."""
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return Interval(mean - half, mean + half, method)


def centred_bootstrap(value: float, draws: Floats, low: float, high: float) -> Interval:
    """Spread of bootstrapped statistics ``draws``, shape ``(r,)``, centred on ``value`` and clipped to ``[low, high]``.

    A resample is noisier than the sample, so a statistic that noise inflates (ECE, a largest difference) is biased upwards once more in resamples; only their
    spread is used.
    """
    lower, upper = np.quantile(draws - draws.mean(), (0.025, 0.975))
    return Interval(min(value, max(low, value + float(lower))), max(value, min(high, value + float(upper))), "centred-bootstrap")


def value_range(values: Sequence[float]) -> Interval | None:
    """Smallest to largest of a few repeats, which is no confidence interval and says so; ``None`` for a single one, which has no range."""
    return Interval(min(values), max(values), "range", level=None) if len(values) > 1 else None


def median_interval(values: NDArray[Any]) -> Interval:
    """Distribution-free interval of the median of values ``(n,)``: the number of values below it is binomial, so two order statistics enclose it.

    Raises:
        ValueError: Fewer than six values.
    """
    n = len(values)
    if n < FEWEST_FOR_MEDIAN:
        raise ValueError(f"{n} values give no 95 % interval of their median")
    ordered = np.sort(values)
    below = int(stats.binom.ppf(0.025, n, 0.5))
    return Interval(float(ordered[below - 1]), float(ordered[n - below]), "order-statistics")


def mcnemar(first: Values, second: Values) -> float:
    """Exact two-sided McNemar p-value (McNemar 1947) of two 0/1 vectors over the same examples, shape ``(n,)``.

    Only discordant pairs count; with none there is no evidence of a difference and the p-value is 1.
    """
    only_first = int(((first == 1) & (second == 0)).sum())
    only_second = int(((first == 0) & (second == 1)).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)


def sign_flip_p_value(differences: Values) -> float:
    """Exact two-sided p-value of paired differences ``(n,)``, each as likely to have the other sign (Fisher 1935, section 21): all their signs are tried.

    McNemar's test is the case of differences of −1, 0 and 1. Zeros say nothing; the signs of the ``k`` others double the work with each.
    """
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0
    signs = 1 - 2 * (np.arange(2 ** (len(nonzero) - 1))[:, None] >> np.arange(len(nonzero)) & 1)  # the last sign stays: turning all of them changes nothing
    sums = np.abs(signs @ nonzero)
    observed = abs(float(nonzero.sum()))
    return float((sums >= observed - ROUNDING * float(np.abs(nonzero).sum())).mean())


def paired_p_value(first: Values, second: Values) -> float:
    """Two-sided p-value of "the two have the same mean over the same examples", of values ``(n,)`` each.

    McNemar's test for 0/1 values and the paired t-test for others, unless fewer than :data:`FEWEST_FOR_T` examples differ: where most differences are 0, t
    takes their few values for a normal distribution (five equal ones of a hundred give p = 0.025), and the exact test of their signs (p = 0.0625) is taken.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if is_binary(first, second):
        return mcnemar(first, second)
    difference = first - second
    if np.count_nonzero(difference) < FEWEST_FOR_T:
        return sign_flip_p_value(difference)
    if np.ptp(difference) == 0:
        return 0.0
    return float(stats.ttest_rel(first, second).pvalue)


def paired_interval(first: Values, second: Values, seed: int) -> Interval:
    """Interval of the mean of ``second`` minus that of ``first`` over the same examples, of values ``(n,)`` each: :func:`newcombe_paired` for 0/1 values and
    :func:`bootstrap_mean` of the differences for others.
    """
    if not is_binary(first, second):
        return bootstrap_mean(second - first, seed)
    both, gained, lost = (int(mask.sum()) for mask in (first * second == 1, second > first, first > second))
    return newcombe_paired(both, gained, lost, len(first) - both - gained - lost)


@final
@dataclass(frozen=True)
class MonteCarloTest:
    """A statistic, larger when worse, against draws from its null distribution.

    Args:
        value: The observed statistic.
        null_mean: Mean of the null draws: what a non-negative statistic shows by chance alone.
        exceedances: How many null draws are at least ``value``.
        draws: How many null draws there are.
    """

    value: float
    null_mean: float
    exceedances: int
    draws: int

    @property
    def excess(self) -> float:
        """The statistic minus its mean under the null; about 0 where there is no effect."""
        return self.value - self.null_mean

    @property
    def p_value(self) -> float:
        """Monte Carlo p-value, never 0: the statistic counts among its own draws (Phipson & Smyth 2010, equation 2)."""
        return (self.exceedances + 1) / (self.draws + 1)

    def p_interval(self, adjusted: float) -> Interval:
        """Clopper–Pearson interval of the p-value in the limit of infinitely many draws, scaled by the ratio of ``adjusted`` to ``p_value``."""
        exact, factor = clopper_pearson(self.exceedances, self.draws), adjusted / self.p_value
        return Interval(min(exact.low * factor, adjusted), min(1.0, max(exact.high * factor, adjusted)), "clopper-pearson").given("the examples")


def monte_carlo_test(value: float, null: Floats) -> MonteCarloTest:
    """Compare a statistic with null draws ``(draws,)``, at least one; draws that differ from it by rounding only count as equal."""
    exceedances = int((null >= value - ROUNDING * max(1.0, abs(value))).sum())
    return MonteCarloTest(value, float(null.mean()), exceedances, len(null))


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given: controls the chance of any false alarm."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return [float(p) for p in adjusted]
