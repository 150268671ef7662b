"""What speaks for a difference between two values: exact values, a paired test, independent repeats, or intervals; and how wide the difference's own is."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

import numpy as np
from scipy import stats

from efficient360.core.arrays import Floats, Integers
from efficient360.core.measurement import LEVEL, Interval, Measurement
from efficient360.core.statistics import centred_bootstrap, paired_interval, paired_p_value
from efficient360.reports.comparing.example_values import OfExamples, OfMeans, Paired
from efficient360.reports.comparing.standard_errors import Error, error_of, error_of_difference, is_repeated, longer_side

FEWEST: Final = 10
"""Fewest examples behind an interval that may decide; Student's t over processes or seeds allows for few by itself and wants three."""
FEWEST_STUDENT: Final = 3
SWAPS: Final = 999
MORE_SWAPS: Final = 9_999
MORE_SORTED: Final = 1_999
"""Swaps of a statistic's values between two runs: so many more where the first ones say that it is close."""
MOST_VALUES: Final = 20_000_000
"""Examples swapped in all: of very many, fewer swaps are made."""
CLOSE: Final = 0.05
RESAMPLES: Final = 500
CELLS: Final = 300_000
"""Values held at a time."""


class Kind(StrEnum):
    """What a comparison of two values rests on."""

    EXACT = "exact values"
    PAIRED = "paired test"
    REPEATS = "independent repeats"
    INTERVALS = "intervals, not paired"
    NONE = "no test"


@final
@dataclass(frozen=True)
class Evidence:
    """What two values of a metric say of each other.

    Args:
        kind: What it rests on.
        basis: The same in words, or why there is no test.
        p_value: Two-sided, unadjusted; ``None`` where there is no test.
        interval: 95 % interval of the second minus the first; ``None`` where there is none.
        pairs: Number of examples in a paired test.
    """

    kind: Kind
    basis: str
    p_value: float | None = None
    interval: Interval | None = None
    pairs: int = 0


def weigh(a: Measurement, b: Measurement, paired: Paired | None) -> Evidence:
    """The best evidence there is on whether two values of a metric differ.

    Args:
        a: The first value.
        b: The second.
        paired: Values of the same examples behind both.
    """
    if a.exact and b.exact:
        return Evidence(Kind.EXACT, Kind.EXACT.value)
    if paired is not None and len(paired) > 1:
        return _paired(a, b, paired)
    if reason := untested_reason(a) or untested_reason(b):
        return Evidence(Kind.NONE, reason)
    interval = difference_interval(a, b)
    if all(m.exact or is_repeated(m) for m in (a, b)):
        return Evidence(Kind.REPEATS, "independent repeats", _welch(a, b), interval)
    p = interval_p_value(a, b)
    return Evidence(Kind.NONE, "intervals of no width") if p is None else Evidence(Kind.INTERVALS, "intervals of the two values", p, interval)


def _paired(a: Measurement, b: Measurement, paired: Paired) -> Evidence:
    n = len(paired)
    if paired.statistic is not None:
        return Evidence(
            Kind.PAIRED, f"values of {n} examples swapped", swap_p_value(paired), _statistic_interval(b.value - a.value, paired, paired.statistic), n
        )
    first, second = paired.first[:, 0], paired.second[:, 0]
    return Evidence(Kind.PAIRED, f"paired test over {n} examples", paired_p_value(first, second), paired_interval(first, second, seed=0), n)


def swap_p_value(paired: Paired, seed: int = 0) -> float:
    """Two-sided p-value of "it doesn't matter which run an example's values come from", of a statistic that is no mean.

    Each example's values are swapped between the runs or not, at random, and the statistic's difference is taken anew (Fisher 1935; Phipson & Smyth 2010,
    equation 2). Where the first :data:`SWAPS` say that it is close, more are made: :data:`MORE_SWAPS`, or :data:`MORE_SORTED` where each means sorting.
    """
    statistic = paired.statistic or OfMeans(lambda means, _: means[:, 0])
    rng = np.random.default_rng(seed)
    observed = abs(float((statistic(paired.second[None]) - statistic(paired.first[None]))[0]))
    reached = made = 0
    more = MORE_SORTED if isinstance(statistic, OfExamples) else MORE_SWAPS
    for wanted in (SWAPS, max(SWAPS, min(more, MOST_VALUES // len(paired)))):
        if made and (reached + 1) / (made + 1) > CLOSE:
            break
        while made < wanted:
            rows = min(wanted - made, max(1, CELLS // len(paired)))
            drawn = _swapped(paired, statistic, rng.integers(0, 2, (rows, len(paired)), dtype=np.int8))
            reached, made = reached + int((np.abs(drawn) >= observed - 1e-12).sum()), made + rows
    return (reached + 1) / (made + 1)


def _swapped(paired: Paired, statistic: OfMeans | OfExamples, swapped: Integers) -> Floats:
    """Difference of a statistic where some examples' values are swapped, ``(r,)``; which ones, 0 or 1, is ``(r, n)``."""
    if isinstance(statistic, OfExamples):
        take = swapped[:, :, None] == 1
        return statistic(np.where(take, paired.first, paired.second)) - statistic(np.where(take, paired.second, paired.first))
    n = len(paired)
    moved = swapped.astype(np.float64) @ (paired.second - paired.first) / n
    return statistic.value(paired.second.mean(axis=0) - moved, n) - statistic.value(paired.first.mean(axis=0) + moved, n)


def _statistic_interval(difference: float, paired: Paired, statistic: OfMeans | OfExamples) -> Interval:
    """Spread of the difference over resamples of the examples, each with both its values, around the difference."""
    rng, drawn = np.random.default_rng(1), []
    n, rows = len(paired), max(1, CELLS // len(paired))
    for start in range(0, RESAMPLES, rows):
        chosen = rng.integers(0, n, (min(rows, RESAMPLES - start), n))
        if isinstance(statistic, OfExamples):
            drawn.append(statistic(paired.second[chosen]) - statistic(paired.first[chosen]))
        else:
            weights = np.stack([np.bincount(row, minlength=n) for row in chosen]) / n
            drawn.append(statistic.value(weights @ paired.second, n) - statistic.value(weights @ paired.first, n))
    return centred_bootstrap(difference, np.concatenate(drawn), -math.inf, math.inf)


def untested_reason(m: Measurement) -> str:
    """Why a value's interval can't decide between two models; ``""`` where it can."""
    if m.exact:
        return ""
    if m.interval is None:
        return "measured once" if m.n == 1 else "no interval"
    if m.interval.level is None:
        return f"{m.interval.method} of {m.n}, no confidence interval" if m.interval.method == "range" else f"{m.interval.method}, no confidence interval"
    if m.interval.conditional_on:
        return f"interval holds fixed: {m.interval.conditional_on}"
    fewest = FEWEST_STUDENT if is_repeated(m) else FEWEST
    return f"only {m.n} examples or repeats" if m.n < fewest else ""


def interval_p_value(a: Measurement, b: Measurement) -> float | None:
    """Two-sided p-value of "the two values are the same" from their intervals; ``None`` where one of them can't decide, or neither has a width.

    The longer side of each interval stands for its error, and the two are independent as far as anyone knows. The sides that face each other would do for an
    interval of 95 % (Zou & Donner 2008, Statistics in Medicine 27, 1693–1702), but among hundreds of tests the far tails decide, of which the short side of
    a skewed interval says nothing.
    """
    if untested_reason(a) or untested_reason(b) or (a.exact and b.exact):
        return None
    off = _error_of_difference(a, b).normal
    return float(2 * stats.norm.sf(abs(a.value - b.value) / off)) if off > 0 else None


def difference_interval(a: Measurement, b: Measurement) -> Interval | None:
    """Interval of the second minus the first from their own, taken as independent (Zou & Donner 2008, MOVER); ``None`` where one has none of 95 %."""
    ends = [(m.value, m.value) if m.exact else None if m.interval is None or m.interval.level != LEVEL else (m.interval.low, m.interval.high) for m in (a, b)]
    if ends[0] is None or ends[1] is None:
        return None
    (low_a, high_a), (low_b, high_b) = ends[0], ends[1]
    difference = b.value - a.value
    low, high = math.hypot(b.value - low_b, high_a - a.value), math.hypot(high_b - b.value, a.value - low_a)
    return Interval(difference - low, difference + high, "mover")


def _error_of_difference(a: Measurement, b: Measurement) -> Error:
    return error_of_difference(error_of(b, longer_side(b)), error_of(a, longer_side(a)))


def _welch(a: Measurement, b: Measurement) -> float | None:
    """p-value of two means of few independent repeats (Welch 1947), their errors taken from their intervals; an exact value has none."""
    off = _error_of_difference(a, b)
    return float(2 * stats.t.sf(abs(b.value - a.value) / off.student, off.freedom)) if off.student > 0 else None
