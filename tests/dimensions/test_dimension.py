import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.measurement import BYTE, ONE, Better, Conditions, Failure, Measurement, Metric, Status
from efficient360.core.outcome import Record
from efficient360.dimensions.dimension import Anchor, Dimension, Scale
from efficient360.reports.report import Axis, axes_of

TOP1 = Metric("top1", ONE, Better.HIGHER, "", low=0, high=1)
PEAK = Metric("peak", BYTE, Better.LOWER, "", low=0)
UP = Anchor("accuracy", "top1", zero=0.1, one=0.9, source="")
DOWN = Anchor("memory", "peak", zero=1e9, one=1e6, source="", scale=Scale.LOG, conditions={"batch": 1})


@pytest.mark.parametrize(("value", "score"), [(0.1, 0), (0.9, 1), (0.5, 0.5), (0.3, 0.25), (0.0, 0), (1.0, 1)])
def test_a_linear_scale_where_more_is_better(value: float, score: float) -> None:
    assert UP.score(value) == pytest.approx(score)


@pytest.mark.parametrize(("value", "score"), [(0.17, 0), (0.0, 1), (0.085, 0.5), (-0.01, 1), (0.5, 0)])
def test_a_linear_scale_where_less_is_better(value: float, score: float) -> None:
    assert Anchor("calibration", "ece_excess", zero=0.17, one=0.0, source="").score(value) == pytest.approx(score)


@pytest.mark.parametrize(("value", "score"), [(1e9, 0), (1e6, 1), (math.sqrt(1e15), 0.5), (1e8, 1 / 3), (5e9, 0), (1, 1), (0, 1), (-1, 1)])
def test_a_logarithmic_scale_where_less_is_better(value: float, score: float) -> None:
    assert DOWN.score(value) == pytest.approx(score)


@pytest.mark.parametrize(("value", "score"), [(10, 0.5), (0, 0), (-3, 0), (1000, 1)])
def test_a_logarithmic_scale_where_more_is_better(value: float, score: float) -> None:
    assert Anchor("latency", "throughput", zero=1, one=100, source="", scale=Scale.LOG).score(value) == pytest.approx(score)


@pytest.mark.parametrize(("zero", "one", "scale"), [(0.5, 0.5, Scale.LINEAR), (0.0, 1.0, Scale.LOG), (10.0, -1.0, Scale.LOG), (3.0, 3.0, Scale.LOG)])
def test_anchors_that_span_no_scale_are_refused(zero: float, one: float, scale: Scale) -> None:
    with pytest.raises(ValueError, match="of top1 span no"):
        Anchor("accuracy", "top1", zero=zero, one=one, source="", scale=scale)


ends = st.floats(1e-6, 1e9)


@given(ends, ends, st.sampled_from(list(Scale)), st.floats(-10, 1e10), st.floats(-10, 1e10))
def test_a_score_is_in_bounds_and_moves_one_way(zero: float, one: float, scale: Scale, first: float, second: float) -> None:
    if math.isclose(zero, one, rel_tol=1e-9):
        return
    anchor = Anchor("e", "m", zero=zero, one=one, source="", scale=scale)
    low, high = anchor.score(min(first, second)), anchor.score(max(first, second))
    assert 0 <= low <= 1
    assert 0 <= high <= 1
    assert low <= high if one > zero else low >= high
    assert anchor.score(zero) == 0
    assert anchor.score(one) == 1


def peak(value: float, batch: int) -> Record:
    return Record("memory", Measurement(PEAK, value, conditions={"batch": batch}))


def missing(metric: Metric | None, message: str, conditions: Conditions | None = None) -> Record:
    return Record("memory", Failure(Status.FAILED, "x", message, metric=metric, conditions=conditions or {}))


def axis(*records: Record, anchors: tuple[Anchor, ...] = (DOWN,)) -> Axis:
    (found,) = axes_of([Dimension("d", "D", "?", 1, anchors)], records)
    return found


def test_an_axis_is_the_mean_of_its_parts() -> None:
    found = axis(peak(1e9, 32), peak(1e6, 1), Record("accuracy", Measurement(TOP1, 0.5)), anchors=(DOWN, UP))
    assert found.score == pytest.approx(0.75)
    assert found.coverage == 1
    assert [p.score for p in found.parts] == pytest.approx([1, 0.5])
    assert [p.reason for p in found.parts] == ["", ""]


def test_an_incomplete_axis_is_a_gap_and_says_how_much_is_known() -> None:
    found = axis(peak(1e6, 1), anchors=(DOWN, UP))
    assert found.score is None
    assert found.coverage == 0.5
    assert found.parts[1].reason == "accuracy was not part of this run"
    assert found.parts[1].score is None


def test_an_axis_that_nothing_measures_is_a_gap() -> None:
    found = axis(anchors=())
    assert (found.score, found.coverage) == (None, 0)


@pytest.mark.parametrize("metric", [PEAK, None])
def test_a_failure_gives_its_reason(metric: Metric | None) -> None:
    assert axis(missing(metric, "it crashed")).parts[0].reason == "it crashed"


def test_the_reason_is_not_hidden_by_what_was_measured_under_other_conditions() -> None:
    found = axis(missing(PEAK, "batch 1 crashed", {"batch": 1}), peak(1e6, 32))
    assert found.parts[0].reason == "batch 1 crashed"
    assert found.score is None


def test_the_failure_of_other_conditions_is_not_the_reason() -> None:
    found = axis(missing(PEAK, "batch 32 crashed", {"batch": 32}))
    assert found.parts[0].reason == "memory reported no peak under these conditions"


def test_a_value_beside_a_failure_under_other_conditions_counts() -> None:
    assert axis(missing(PEAK, "batch 32 crashed", {"batch": 32}), peak(1e6, 1)).score == 1


def test_another_metrics_failure_is_no_reason() -> None:
    found = axis(missing(TOP1, "another one"))
    assert found.parts[0].reason == "memory was not part of this run"


def test_axes_stand_in_their_order() -> None:
    dimensions = [Dimension(name, name, "?", order) for name, order in (("c", 2), ("b", 1), ("a", 2))]
    assert [a.dimension.name for a in axes_of(dimensions, [])] == ["b", "a", "c"]
