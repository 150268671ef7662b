"""The best operators together, against sums by hand."""

import pytest

from efficient360.deployment.hardware_fit.bound import bound
from efficient360.deployment.hardware_fit.classes import Class

A = {Class.CONVOLUTION: 1.0, Class.PRODUCT: 6.0, Class.SOFTMAX: 3.0}
B = {Class.CONVOLUTION: 2.0, Class.PRODUCT: 4.0, Class.SOFTMAX: 6.0}


def test_the_least_of_each_class_by_hand() -> None:
    found = bound({"a": A, "b": B})
    assert found is not None
    assert found.best == {Class.CONVOLUTION: ("a", 1.0), Class.PRODUCT: ("b", 4.0), Class.SOFTMAX: ("a", 3.0)}
    assert found.seconds == 8.0
    assert (found.single, found.single_seconds) == ("a", 10.0)
    assert found.speedup == pytest.approx(1.25)


def test_work_fused_into_another_class_counts_nothing_there() -> None:
    fused = {Class.PRODUCT: 9.0}
    found = bound({"a": A, "fused": fused})
    assert found is not None
    assert found.best == {Class.CONVOLUTION: ("fused", 0.0), Class.PRODUCT: ("a", 6.0), Class.SOFTMAX: ("fused", 0.0)}
    assert found.seconds == 6.0
    assert (found.single, found.single_seconds) == ("fused", 9.0)


def test_a_runtime_that_is_best_throughout_bounds_itself() -> None:
    worse = {one: 2 * seconds for one, seconds in A.items()}
    found = bound({"a": A, "worse": worse})
    assert found is not None
    assert found.speedup == 1


@pytest.mark.parametrize("times", [{}, {"a": A}, {"a": A, "silent": {Class.PRODUCT: 0.0}}, {"a": {Class.CONVOLUTION: 1.0}, "b": {Class.PRODUCT: 1.0}}])
def test_there_is_none(times: dict) -> None:
    assert bound(times) is None
