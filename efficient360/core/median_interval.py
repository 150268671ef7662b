"""Median of a sample with an interval that assumes nothing of its distribution."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.core.measurement import Interval

FEWEST = 6
"""Values from which on the smallest and the largest hold the median with 95 %."""


def median_interval(values: NDArray[Any]) -> Interval:
    """95 % interval of the median of values ``(n,)``: how many lie below it is binomial, so two of the ordered values hold it, as narrow as suffices.

    Raises:
        ValueError: Fewer than six values.
    """
    n = len(values)
    if n < FEWEST:
        raise ValueError(f"{n} values give no 95 % interval of their median")
    ordered = np.sort(values)
    below = int(stats.binom.ppf(0.025, n, 0.5))
    return Interval(float(ordered[below - 1]), float(ordered[n - below]), "order-statistics")
