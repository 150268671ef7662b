"""The interval of a median against its exact coverage."""

import numpy as np
import pytest
from scipy.stats import quantile_test

from efficient360.core.median_interval import median_interval


def test_six_values_by_hand() -> None:
    """All six lie on one side of the median with chance 2 / 64: the smallest and the largest hold it with 96.9 %."""
    found = median_interval(np.array([5.0, 1.0, 3.0, 2.0, 9.0, 4.0]))
    assert (found.low, found.high, found.method) == (1.0, 9.0, "order-statistics")


@pytest.mark.parametrize("n", [6, 7, 15, 30, 101, 1000])
def test_it_is_scipys_interval_of_a_quantile(n: int) -> None:
    values = np.random.default_rng(n).random(n)
    found, theirs = median_interval(values), quantile_test(values, q=np.median(values), p=0.5).confidence_interval(0.95)
    assert (found.low, found.high) == (theirs.low, theirs.high)
    assert found.low <= np.median(values) <= found.high


def test_five_values_are_too_few() -> None:
    with pytest.raises(ValueError, match="5 values give no 95 % interval"):
        median_interval(np.arange(5.0))
