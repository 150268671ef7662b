"""The interval of a mean over repeats."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from efficient360.measurement import Interval, Metric
from efficient360.statistics import LEVEL

METHOD = "t over seeds"


def t_interval(values: Sequence[float], metric: Metric) -> Interval:
    """Student's t interval of a mean over independent repeats (Student 1908), cut off at the metric's bounds.

    Args:
        values: At least two.
        metric: Whose bounds.
    """
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    low = mean - half if metric.low is None else max(metric.low, mean - half)
    high = mean + half if metric.high is None else min(metric.high, mean + half)
    return Interval(min(low, mean), max(high, mean), METHOD)
