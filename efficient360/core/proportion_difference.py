"""Intervals of a difference of two proportions: of independent samples, or of the same examples twice. 95 %, two-sided."""

import math

from efficient360.core.measurement import Interval
from efficient360.core.statistics import wilson


def newcombe(hits: int, n: int, other_hits: int, other_n: int) -> Interval:
    """Hybrid score interval of ``hits / n − other_hits / other_n``, two independent samples, within [−1, 1].

    Newcombe 1998, "Interval estimation for the difference between independent proportions", Statistics in Medicine 17, 873–890, method 10: the Wilson
    intervals of both proportions, squared and added.

    Raises:
        ValueError: A sample is empty, or has more hits than examples.
    """
    first, second = wilson(hits, n), wilson(other_hits, other_n)
    p, q = hits / n, other_hits / other_n
    low = p - q - math.hypot(p - first.low, second.high - q)
    high = p - q + math.hypot(first.high - p, q - second.low)
    return Interval(max(-1.0, low), min(1.0, high), "newcombe")


def newcombe_paired(both: int, only_first: int, only_second: int, neither: int) -> Interval:
    """Score interval of the share right the first time less the share right the second time, the same examples both times, within [−1, 1].

    Newcombe 1998, "Improved confidence intervals for the difference between binomial proportions based on paired data", Statistics in Medicine 17,
    2635–2650, method 10: as :func:`newcombe`, less the correlation of the two answers, which is corrected for continuity where it is positive.

    Args:
        both: Examples right both times.
        only_first: Right the first time only.
        only_second: Right the second time only.
        neither: Wrong both times.

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
    low = p - q - _joined(p - first.low, second.high - q, correlation)
    high = p - q + _joined(first.high - p, q - second.low, correlation)
    return Interval(max(-1.0, low), min(1.0, high), "newcombe-paired")


def _joined(a: float, b: float, correlation: float) -> float:
    return math.sqrt(max(0.0, a * a - 2 * correlation * a * b + b * b))
