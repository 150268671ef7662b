"""What an axis's score rests on, in words."""

import dataclasses

import pytest

import synthetic
from efficient360.core.measurement import BYTE, ONE, SECOND, Better, Conditions, Failure, Measurement, Metric, Status
from efficient360.core.outcome import Record
from efficient360.reports.axis_scores import AxisScore, anchor_value, axis_scores
from efficient360.reports.report import axes_of, failure_of


def scores(*records: Record) -> dict[str, AxisScore]:
    base = dataclasses.replace(synthetic.report(), records=list(records), axes=axes_of(synthetic.dimensions(), list(records)))
    return {score.axis.dimension.name: score for score in axis_scores(base)}


def test_a_measured_axis_says_its_value_and_its_ends() -> None:
    (metric,) = scores(Record("latency", Measurement(synthetic.LATENCY, 0.004)))["latency"].metrics
    assert (metric.value, metric.zero, metric.one, metric.reason) == ("4.00 ms", "1 s or more", "1 ms or less", "")


@pytest.mark.parametrize(
    ("device", "place"),
    [
        ("local", "ONNX Runtime, fp32, on the machine of this run"),
        ("limited:1core-2gb", "ONNX Runtime, fp32, on limited:1core-2gb, emulated on the machine of this run"),
        ("ssh://a@b", "ONNX Runtime, fp32, on ssh://a@b"),
    ],
)
def test_a_latency_names_its_runtime_and_device(device: str, place: str) -> None:
    conditions: Conditions = {"runtime": "onnxruntime", "precision": "fp32", "device": device, "batch": 1}
    (metric,) = scores(Record("latency", Measurement(synthetic.LATENCY, 0.004, conditions=conditions)))["latency"].metrics
    assert metric.place == place
    (accuracy,) = scores(Record("accuracy", Measurement(synthetic.TOP1, 0.5)))["performance"].metrics
    assert accuracy.place == ""


def test_nothing_lies_beyond_the_bounds_of_a_metric() -> None:
    (metric,) = scores(Record("accuracy", Measurement(synthetic.TOP1, 0.5)))["performance"].metrics
    assert (metric.zero, metric.one) == ("0 %", "100 %")


def test_a_gap_says_why_in_one_short_line() -> None:
    failure = Failure(Status.UNSUPPORTED, "no-split", "there is no training split", "", synthetic.ATTACK)
    weights = Record("parameters", Measurement(synthetic.WEIGHT_BYTES, 1e6))
    void = Record("corruptions", Measurement(synthetic.CORRUPTED, 0.5, void="nobody looked"))
    found = scores(Record("membership", failure), weights, void)
    assert found["privacy"].reason == "not measured: there is no training split"
    assert found["memory"].reason == "1 of 2 measured: memory was not part of this run"
    assert found["robustness"].reason == "void: nobody looked"
    assert found["robustness"].metrics[0].value == ""
    assert scores(Record("accuracy", Measurement(synthetic.TOP1, 0.5)))["performance"].reason == ""


def test_other_settings_are_named_without_their_values() -> None:
    metric = Metric("best_compression", ONE, Better.HIGHER, "", "", 0)
    record = Record("compression", Measurement(metric, 4.0), settings={"variants": ["half"], "tolerance": 0.01})
    assert scores(record)["approximation"].mark == "lower bound: compression with other variants"


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (1.2e9, Metric("b", BYTE, Better.LOWER, ""), "1.2 GB"),
        (1e6, Metric("b", BYTE, Better.LOWER, ""), "1 MB"),
        (3.2e5, Metric("b", BYTE, Better.LOWER, ""), "320 kB"),
        (0.2, Metric("s", ONE, Better.LOWER, "", "", 0, 1), "20 %"),
        (0.005, Metric("s", ONE, Better.LOWER, "", "", 0, 1), "0.5 %"),
        (1e-3, Metric("t", SECOND, Better.LOWER, ""), "1 ms"),
        (0.0, Metric("t", ONE, Better.LOWER, ""), "0"),
        (100.0, Metric("t", ONE, Better.LOWER, ""), "100"),
        (2.0, None, "2.00"),
        (6e10, None, "60.0 G"),
    ],
)
def test_anchors_are_printed_without_idle_zeros(value: float, metric: Metric | None, text: str) -> None:
    assert anchor_value(value, metric) == text


def test_a_failure_covers_an_anchor_of_more_conditions_and_no_other() -> None:
    (anchor,) = next(d for d in synthetic.dimensions() if d.name == "latency").anchors
    anchor = dataclasses.replace(anchor, conditions={"batch": 1})
    wide, other = (Failure(Status.FAILED, code, "m", "", synthetic.LATENCY, c) for code, c in (("wide", {}), ("other", {"batch": 32})))
    assert failure_of(anchor, [Record("latency", wide), Record("latency", other)]) is wide
    assert failure_of(anchor, [Record("latency", other)]) is None
    assert failure_of(anchor, [Record("macs", wide)]) is None
