import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from efficient360.methods.continual_learning import forgetting_and_transfer as metrics
from efficient360.methods.continual_learning.forgetting_and_transfer import AVERAGE, BACKWARD
from efficient360.methods.continual_learning.results import t_interval

R = np.array([[0.9, 0.1, 0.2], [0.6, 0.8, 0.3], [0.5, 0.7, 0.9]])
LATE = np.array([[0.5, 0.2, 0.0], [0.7, 0.6, 0.0], [0.4, 0.6, 0.8]])
"""The first task is at its best after the second was learned."""
MATRICES = st.integers(2, 6).flatmap(lambda t: arrays(np.float64, (t, t), elements=st.floats(0, 1)))


def test_by_hand() -> None:
    assert metrics.average_accuracy(R) == pytest.approx((0.5 + 0.7 + 0.9) / 3)
    assert metrics.backward_transfer(R) == pytest.approx(((0.5 - 0.9) + (0.7 - 0.8)) / 2)
    assert metrics.forward_transfer(R, np.array([0.1, 0.05, 0.1])) == pytest.approx(((0.1 - 0.05) + (0.3 - 0.1)) / 2)
    assert metrics.forgetting(R) == pytest.approx(((0.9 - 0.5) + (0.8 - 0.7)) / 2)
    assert metrics.plasticity(R) == pytest.approx((0.9 + 0.8 + 0.9) / 3)
    assert metrics.average_incremental_accuracy(R) == pytest.approx((0.9 + (0.6 + 0.8) / 2 + (0.5 + 0.7 + 0.9) / 3) / 3)
    joint = np.diag([0.9, 0.85, 1.0])
    assert metrics.intransigence(R, joint) == pytest.approx((0 + 0.05 + 0.1) / 3)


def test_forgetting_is_from_the_best_backward_transfer_from_the_first() -> None:
    assert metrics.forgetting(LATE) == pytest.approx(((0.7 - 0.4) + (0.6 - 0.6)) / 2)
    assert metrics.backward_transfer(LATE) == pytest.approx(((0.4 - 0.5) + (0.6 - 0.6)) / 2)


@pytest.mark.parametrize("metric", [metrics.backward_transfer, metrics.forgetting, lambda r: metrics.forward_transfer(r, np.zeros(1))])
def test_one_task_harms_no_other(metric) -> None:
    with pytest.raises(ValueError, match="one task"):
        metric(np.array([[0.5]]))


@given(MATRICES)
def test_forgetting_is_never_less_than_what_was_lost_since_learning(r: np.ndarray) -> None:
    assert metrics.forgetting(r) >= -metrics.backward_transfer(r) - 1e-12


@given(MATRICES)
def test_nothing_is_forgotten_where_nothing_changes(r: np.ndarray) -> None:
    r[:] = r[0]
    assert metrics.forgetting(r) == metrics.backward_transfer(r) == metrics.forward_transfer(r, r[0]) == 0
    assert metrics.plasticity(r) == pytest.approx(metrics.average_accuracy(r))


def test_the_interval_of_three_seeds() -> None:
    interval = t_interval([0.4, 0.5, 0.6], AVERAGE)
    half = 4.302653 * 0.1 / 3**0.5  # the 97.5 % quantile of Student's t with 2 degrees of freedom
    assert (interval.low, interval.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)
    assert t_interval([0.9, 0.95, 1.0], AVERAGE).high == 1
    assert t_interval([-0.9, -0.5, -1.0], BACKWARD).low == -1
    assert t_interval([0.3, 0.3, 0.3], AVERAGE).low == pytest.approx(0.3)
