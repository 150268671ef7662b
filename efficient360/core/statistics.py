"""Intervals and paired tests, thin over scipy. All intervals are 95 %, two-sided."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.core.measurement import Interval

LEVEL = 0.95
Values = NDArray[np.floating[Any]]


def wilson(successes: int, n: int) -> Interval:
    """Wilson score interval of a proportion (Wilson 1927), within [0, 1].

    Raises:
        ValueError: ``n`` is 0 or ``successes`` is outside ``0 … n``.
    """
    result = stats.binomtest(successes, n).proportion_ci(LEVEL, method="wilson")
    return Interval(float(result.low), float(result.high), "wilson")


def clopper_pearson(successes: int, n: int) -> Interval:
    """Exact interval of a proportion (Clopper & Pearson 1934): never under-covers, for tails with few events."""
    result = stats.binomtest(successes, n).proportion_ci(LEVEL, method="exact")
    return Interval(float(result.low), float(result.high), "clopper-pearson")


def bootstrap_mean(values: Values, seed: int, resamples: int = 1000) -> Interval:
    """Percentile bootstrap interval (Efron 1979) of the mean of ``values``, shape ``(n,)``.

    The resampling is seeded, so the same values give the same interval. A constant sample gives a point.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or np.ptp(values) == 0:
        return Interval(float(values.mean()), float(values.mean()), "bootstrap")
    batch = max(1, min(resamples, 4_000_000 // len(values)))
    result = stats.bootstrap(
        (values,), np.mean, n_resamples=resamples, batch=batch, confidence_level=LEVEL, method="percentile", rng=np.random.default_rng(seed)
    )
    return Interval(float(result.confidence_interval.low), float(result.confidence_interval.high), "bootstrap")


def mean_interval(values: Values, seed: int) -> Interval:
    """Interval of a mean: Wilson when every value is 0 or 1, bootstrap otherwise."""
    values = np.asarray(values, dtype=np.float64)
    if bool(np.isin(values, (0.0, 1.0)).all()):
        return wilson(int(values.sum()), len(values))
    return bootstrap_mean(values, seed)


def percentiles(draws: Any, method: str) -> Interval:
    """What holds 95 % of ``draws``, shape ``(r,)``: resamples of a value, or draws of its null."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(float(low), float(high), method)


def percentiles_around(value: float, draws: Any, method: str) -> Interval:
    """As :func:`percentiles`, and wide enough to hold ``value``, the measure on the sample itself, beside which resamples may all fall."""
    found = percentiles(draws, method)
    return Interval(min(found.low, value), max(found.high, value), found.method)


def student(values: Values, method: str) -> Interval:
    """Student's t interval of the mean of independent ``values`` (Student 1908), shape ``(n,)`` with ``n`` at least 2. A constant sample gives a point."""
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return Interval(mean - half, mean + half, method)


def mcnemar(first: Values, second: Values) -> float:
    """Exact two-sided McNemar p-value (McNemar 1947) of two 0/1 vectors over the same examples, shape ``(n,)``.

    Only discordant pairs count; with none there is no evidence of a difference and the p-value is 1.
    """
    only_first = int(((first == 1) & (second == 0)).sum())
    only_second = int(((first == 0) & (second == 1)).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second, 0.5).pvalue)


def paired_p_value(first: Values, second: Values) -> float:
    """Two-sided p-value of "the two have the same mean over the same examples": McNemar for 0/1 values, paired t otherwise."""
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if bool(np.isin(np.concatenate([first, second]), (0.0, 1.0)).all()):
        return mcnemar(first, second)
    difference = first - second
    if len(difference) < 2:
        return 1.0  # one pair says nothing of the spread
    if np.ptp(difference) == 0:
        return 1.0 if difference[0] == 0 else 0.0
    return float(stats.ttest_rel(first, second).pvalue)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given: controls the chance of any false alarm."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return [float(p) for p in adjusted]
