import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.figures import Bars, Curve, Figure, Gallery, Heatmap, Picture, Series, Table
from efficient360.core.measurement import BYTE, ONE, Better, Failure, Interval, Measurement, Metric, Status
from efficient360.core.outcome import Record, figure_from_json, figure_to_json, from_json, to_json

text = st.text(max_size=8)
finite = st.floats(allow_nan=False, allow_infinity=False)
row = st.lists(finite, max_size=4).map(tuple)
words = st.lists(text, max_size=3).map(tuple)
whole = st.integers(-(2**63) + 1, 2**63 - 1)
# Positions, values, and both ends of their intervals or neither.
with_ends = st.lists(st.tuples(finite, finite, finite, finite), max_size=4).map(lambda points: tuple(tuple(p[i] for p in points) for i in range(4)))
values = st.booleans().flatmap(lambda bare: with_ends.map(lambda v: (*v[:2], (), ()) if bare else v))
series = st.builds(lambda name, v, style: Series(name, v[0], v[1], v[2], v[3], style), text, values, st.sampled_from(["line", "points", "reference"]))
pictures = st.lists(st.builds(Picture, text, text, text), max_size=3).map(tuple)
cells = st.lists(st.lists(st.none() | finite, max_size=3).map(tuple), max_size=3).map(tuple)
rows = st.lists(st.lists(text | whole | finite, max_size=3).map(tuple), max_size=3).map(tuple)
figures = st.one_of(
    st.builds(Curve, text, text, text, st.lists(series, max_size=3).map(tuple), st.booleans(), st.booleans()),
    st.builds(lambda title, labels, v: Bars(title, "x", "y", labels, *v[1:]), text, words, values),
    st.builds(Heatmap, text, text, text, words, words, cells),
    st.builds(lambda title, cells: Table(title, ("a", "b", "c"), cells), text, rows),
    st.builds(Gallery, text, pictures),
)
conditions = st.dictionaries(text, text | whole | finite | st.booleans(), max_size=3)
metrics = st.builds(Metric, st.sampled_from(["top1", "ece"]), st.sampled_from([ONE, BYTE]), st.sampled_from(list(Better)), text, text)
levels = st.none() | st.sampled_from([0.9, 0.95])
intervals = st.builds(lambda ends, level, given: Interval(min(ends), max(ends), "wilson", level, given), st.tuples(finite, finite), levels, text)
extras = st.lists(figures, max_size=2).map(tuple)
measurements = st.builds(Measurement, metrics, finite, st.integers(1, 10**6), st.none() | intervals, conditions, row, extras, text, st.booleans())
failures = st.builds(Failure, st.sampled_from(list(Status)), text, text, text, st.none() | metrics, conditions)
records = st.builds(
    Record, text, measurements | failures, text, st.tuples(st.integers(0, 9), st.integers(1, 9)), conditions, st.integers(0, 10**6).map(lambda ms: ms / 1000)
)


@given(records)
def test_a_record_survives_strict_json(record: Record) -> None:
    line = json.dumps(to_json(record), allow_nan=False)
    assert "\n" not in line
    assert from_json(json.loads(line)) == record


@pytest.mark.parametrize("kind", [Curve, Bars, Heatmap, Table, Gallery])
def test_every_kind_of_figure_survives(kind: type[Figure]) -> None:
    figures_of: dict[type[Figure], Figure] = {
        Curve: Curve("t", "x", "y", (Series("a", (1.0,), (2.0,), (1.5,), (2.5,), "points"),), x_log=True),
        Bars: Bars("t", "x", "y", ("a",), (1.0,)),
        Heatmap: Heatmap("t", "x", "y", ("a", "b"), ("c",), ((1.0, None),)),
        Table: Table("t", ("a", "b"), (("x", 1), ("y", 2.5))),
        Gallery: Gallery("t", (Picture("data:image/png;base64,AA==", "caption"),)),
    }
    one = figures_of[kind]
    data = json.loads(json.dumps(figure_to_json(one)))
    assert data["kind"] == kind.kind
    assert figure_from_json(data) == one


def test_the_line_that_other_programs_read() -> None:
    metric = Metric("top1", ONE, Better.HIGHER, "how often", "somewhere", 0, 1)
    line = to_json(Record("accuracy", Measurement(metric, 0.893, 897, Interval(0.871, 0.911, "wilson")), "k", (1, 2), {"k": 5}, 1.23456))
    assert line == {
        "kind": "measurement",
        "evaluator": "accuracy",
        "metric": "top1",
        "unit": "1",
        "better": "higher",
        "bounds": [0, 1],
        "description": "how often",
        "source": "somewhere",
        "value": 0.893,
        "n": 897,
        "interval": [0.871, 0.911],
        "interval_method": "wilson",
        "interval_level": 0.95,
        "conditions": {},
        "key": "k",
        "part": [1, 2],
        "settings": {"k": 5},
        "seconds": 1.235,
    }
    failure = to_json(Record("latency", Failure(Status.UNSUPPORTED, "no-device", "there is none", "plug one in")))
    assert failure == {
        "kind": "failure",
        "evaluator": "latency",
        "metric": None,
        "status": "unsupported",
        "code": "no-device",
        "message": "there is none",
        "hint": "plug one in",
        "conditions": {},
        "key": "",
        "part": [0, 1],
        "settings": {},
        "seconds": 0.0,
    }


def test_an_exact_value_says_so() -> None:
    line = to_json(Record("parameters", Measurement(Metric("weights", BYTE, Better.LOWER, ""), 12)))
    assert (line["interval"], line["interval_method"]) == (None, "exact")


def test_a_value_that_a_rerun_would_change_is_not_exact() -> None:
    line = to_json(Record("latency", Measurement(Metric("runtime_memory", BYTE, Better.LOWER, ""), 12, repeatable=False)))
    assert (line["interval"], line["interval_method"]) == (None, "none")


@pytest.mark.parametrize(("method", "level"), [("wilson", 0.95), ("bootstrap", 0.95), ("range", None), ("lanczos-residual", None)])
def test_a_line_from_before_levels_were_stored(method: str, level: float | None) -> None:
    line = to_json(Record("accuracy", Measurement(Metric("top1", ONE, Better.HIGHER, ""), 0.5, 9, Interval(0.4, 0.6, method))))
    outcome = from_json({key: value for key, value in line.items() if key != "interval_level"}).outcome
    assert isinstance(outcome, Measurement)
    assert outcome.interval == Interval(0.4, 0.6, method, level)


GOOD = to_json(Record("accuracy", Measurement(Metric("top1", ONE, Better.HIGHER, ""), 0.5)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "rumour"}, "an outcome: kind is 'rumour', where 'measurement', 'failure' is wanted"),
        ({"metric": None}, "measurement.metric is None, where a text is wanted"),
        ({"value": float("nan")}, "finite"),
        ({"better": "bigger"}, "bigger"),
        ({"part": [1]}, r"has no measurement.part\[1\]"),
        ({"value": 10**400}, "measurement.value is 10000.*where a number is wanted"),
        ({"value": True}, "measurement.value is True"),
        ({"settings": {"a": [[10**30]]}}, "more than 64 bits"),
        (
            {"extra": [{"kind": "bars", "title": "t", "x_label": "x", "y_label": "y", "labels": [1], "values": [1]}]},
            r"labels\[0\] is 1, where a text is wanted",
        ),
        ({"extra": [{"kind": "bars", "title": "t", "x_label": "x", "y_label": "y", "labels": [], "values": [1], "low": [0, 0]}]}, "2 and 0 ends"),
        ({"extra": [{"kind": "pie"}]}, "'pie' is no kind of figure"),
    ],
)
def test_a_line_that_is_no_outcome_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(GOOD | change)


def test_a_record_without_its_value_is_refused() -> None:
    with pytest.raises(ValueError, match="has no measurement.value"):
        from_json({k: v for k, v in GOOD.items() if k != "value"})


def test_a_record_knows_its_metric() -> None:
    record = from_json(GOOD)
    assert record.metric is not None
    assert record.metric.name == "top1"
    assert replace(record, outcome=Failure(Status.FAILED, "x", "y")).metric is None
