import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.measurement import ONE, Better, Interval, Measurement, Metric

TOP1 = Metric("top1", ONE, Better.HIGHER, "", low=0, high=1)
FREE = Metric("free", ONE, Better.NEITHER, "")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_is_finite(value: float) -> None:
    with pytest.raises(ValueError, match=r"free is .*: a measurement is finite, what could not be measured is a Failure"):
        Measurement(FREE, value)


@pytest.mark.parametrize("value", [-0.001, 1.001, -1])
def test_a_value_lies_within_its_metrics_bounds(value: float) -> None:
    with pytest.raises(ValueError, match=r"top1 is .*, outside its bounds \[0, 1\]"):
        Measurement(TOP1, value)


@given(st.floats(0, 1))
def test_every_value_within_the_bounds_is_taken(value: float) -> None:
    assert Measurement(TOP1, value).value == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_metric_without_bounds_takes_any_finite_value(value: float) -> None:
    assert Measurement(FREE, value).value == value


@pytest.mark.parametrize("n", [0, -1])
def test_a_measurement_rests_on_something(n: int) -> None:
    with pytest.raises(ValueError, match=f"top1 rests on {n} examples"):
        Measurement(TOP1, 0.5, n)


def test_samples_are_finite() -> None:
    with pytest.raises(ValueError, match="a sample of free is not finite"):
        Measurement(FREE, 1.0, 2, samples=(1.0, math.nan))


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.1), (math.nan, 1), (0, math.nan), (0, math.inf), (-math.inf, 0)])
def test_what_is_no_interval_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="not an interval"):
        Interval(low, high, "wilson")


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    with pytest.raises(ValueError, match="not a confidence level"):
        Interval(0.1, 0.2, "wilson", level)


def test_only_what_a_rerun_repeats_is_exact_without_an_interval() -> None:
    assert Measurement(FREE, 1.0).exact
    assert not Measurement(FREE, 1.0, repeatable=False).exact
    assert not Measurement(FREE, 1.0, 3, Interval(0.5, 2.0, "range", None)).exact
    assert "no interval" in repr(Measurement(FREE, 1.0, repeatable=False))
    assert "range [0.5, 2]" in repr(Measurement(FREE, 1.0, 3, Interval(0.5, 2.0, "range", None)))


def test_a_point_is_an_interval() -> None:
    assert Interval(0.5, 0.5, "bootstrap").low == 0.5


@pytest.mark.parametrize("name", ["Top1", "top-1", "top 1", "", "1top"])
def test_a_metrics_name_is_snake_case(name: str) -> None:
    with pytest.raises(ValueError, match="is not snake_case"):
        Metric(name, ONE, Better.HIGHER, "")
