"""The interval of a mean over repeats."""

from collections.abc import Sequence

import numpy as np

from efficient360.core.measurement import Interval, Metric
from efficient360.core.statistics import student

METHOD = "t over seeds"


def t_interval(values: Sequence[float], metric: Metric) -> Interval:
    """Student's t interval of a mean over independent repeats (Student 1908), cut off at the metric's bounds.

    Args:
        values: At least two.
        metric: Whose bounds.
    """
    mean, whole = float(np.mean(values)), student(np.asarray(values), METHOD)
    low = whole.low if metric.low is None else max(metric.low, whole.low)
    high = whole.high if metric.high is None else min(metric.high, whole.high)
    return Interval(min(low, mean), max(high, mean), METHOD)
