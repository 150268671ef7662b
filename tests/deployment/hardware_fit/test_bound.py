"""The best operators together, against sums by hand."""

import pytest

from efficient360.deployment.hardware_fit.operator_times import OperatorClass, best_kernel_bound

A = {OperatorClass.CONVOLUTION: 1.0, OperatorClass.PRODUCT: 6.0, OperatorClass.SOFTMAX: 3.0}
B = {OperatorClass.CONVOLUTION: 2.0, OperatorClass.PRODUCT: 4.0, OperatorClass.SOFTMAX: 6.0}


def test_the_least_of_each_class_by_hand() -> None:
    found = best_kernel_bound({"a": A, "b": B})
    assert found is not None
    assert found.best == {OperatorClass.CONVOLUTION: ("a", 1.0), OperatorClass.PRODUCT: ("b", 4.0), OperatorClass.SOFTMAX: ("a", 3.0)}
    assert found.seconds == 8.0
    assert (found.single, found.single_seconds) == ("a", 10.0)
    assert found.speedup == pytest.approx(1.25)


def test_work_fused_into_another_class_counts_nothing_there() -> None:
    fused = {OperatorClass.PRODUCT: 9.0}
    found = best_kernel_bound({"a": A, "fused": fused})
    assert found is not None
    assert found.best == {OperatorClass.CONVOLUTION: ("fused", 0.0), OperatorClass.PRODUCT: ("a", 6.0), OperatorClass.SOFTMAX: ("fused", 0.0)}
    assert found.seconds == 6.0
    assert (found.single, found.single_seconds) == ("fused", 9.0)


def test_a_runtime_that_is_best_throughout_bounds_itself() -> None:
    worse = {one: 2 * seconds for one, seconds in A.items()}
    found = best_kernel_bound({"a": A, "worse": worse})
    assert found is not None
    assert found.speedup == 1


@pytest.mark.parametrize(
    "times", [{}, {"a": A}, {"a": A, "silent": {OperatorClass.PRODUCT: 0.0}}, {"a": {OperatorClass.CONVOLUTION: 1.0}, "b": {OperatorClass.PRODUCT: 1.0}}]
)
def test_there_is_none(times: dict) -> None:
    assert best_kernel_bound(times) is None
