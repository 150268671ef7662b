"""Small runs for the gate's tests: hand-made records, values of examples in memory."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from efficient360.core.measurement import MAC, NAT, ONE, SECOND, Better, Failure, Interval, Measurement, Metric, Status
from efficient360.core.outcome import Record
from efficient360.core.statistics import mean_interval
from efficient360.dimensions.dimension import Anchor, Bound, Dimension
from efficient360.reports.comparing.example_values import ExampleTable
from efficient360.reports.comparing.run import Run
from efficient360.reports.gate.check import check
from efficient360.reports.gate.results import Check
from efficient360.reports.gate.rule import Kind, parse_rule
from efficient360.reports.report import Report, axes_of

TOP1 = Metric("top1", ONE, Better.HIGHER, "Right or wrong.", low=0, high=1)
NLL = Metric("nll", NAT, Better.LOWER, "Negative log-likelihood.", low=0)
MACS = Metric("macs", MAC, Better.LOWER, "Multiply-accumulates.", low=0)
LATENCY = Metric("latency_p50", SECOND, Better.LOWER, "Median latency.", low=0)
ROBUST = Metric("robust_accuracy", ONE, Better.HIGHER, "Right under attack.", low=0, high=1)
COMPRESSION = Metric("best_compression", ONE, Better.HIGHER, "Times smaller.", low=0)
AUC = Metric("attack_auc", ONE, Better.LOWER, "Members told from others.", low=0, high=1)
TRANSFER = Metric("backward_transfer", ONE, Better.HIGHER, "What later tasks do to earlier ones.", low=-1, high=1)
CONFIDENCE = Metric("confidence", ONE, Better.NEITHER, "Mean confidence.", low=0, high=1)

AXES = (
    Dimension("performance", "Performance", "How right?", 1, [Anchor("accuracy", "top1", 0.0, 1.0, "")]),
    Dimension("robustness", "Robustness", "How robust?", 2, [Anchor("adversarial", "robust_accuracy", 0.0, 1.0, "", conditions={"epsilon": "4/255"})]),
    Dimension(
        "approximation", "Approximation", "How far?", 4, [Anchor("compression", "best_compression", 1.0, 10.0, "", settings={"bits": 4}, otherwise=Bound.LOWER)]
    ),
    Dimension("privacy", "Privacy", "How private?", 3, [Anchor("membership", "attack_auc", 1.0, 0.5, "")]),
)


def measured(evaluator: str, metric: Metric, value: float, n: int = 100, interval: Interval | None = None, **conditions: str | int | float) -> Record:
    return Record(evaluator, Measurement(metric, value, n, interval, conditions), measured_with={"data": "d", "examples": n})


def exact(metric: Metric, value: float) -> Record:
    return Record(metric.name, Measurement(metric, value))


def void(evaluator: str, metric: Metric, value: float, reason: str) -> Record:
    return Record(evaluator, Measurement(metric, value, 100, Interval(value, value, "wilson"), void=reason))


def failed(evaluator: str, metric: Metric | None, message: str) -> Record:
    return Record(evaluator, Failure(Status.UNSUPPORTED, "lacking", message, metric=metric))


def run(records: Sequence[Record], examples: Mapping[tuple[str, str], np.ndarray] | None = None, name: str = "model") -> Run:
    """A run; ``examples`` are values per example by evaluator and metric, whose means are added to its records."""
    values = examples or {}
    metrics = {m.name: m for m in (TOP1, NLL, ROBUST, TRANSFER)}
    told = [
        Record(evaluator, Measurement(metrics[metric], float(v.mean()), len(v), mean_interval(v, 0)), measured_with={"data": "d"})
        for (evaluator, metric), v in values.items()
    ]
    table = ExampleTable({(e, m, json.dumps({})): {f"x{i}": float(x) for i, x in enumerate(v)} for (e, m), v in values.items()})
    report = Report("complete", "", "", "", {"name": name, "digest": name}, {"digest": "d"}, {}, {}, [*records, *told], [])
    return Run(Report(**{**vars(report), "axes": axes_of(AXES, report.records)}), table, Path("runs") / name)


def checked(
    fail_if: Sequence[str],
    ours: Run,
    theirs: Run | None = None,
    require: Sequence[str] = (),
    alpha: float = 0.025,
    strict: bool = False,
    proven: bool = False,
) -> Check:
    rules = [parse_rule(Kind.FAIL_IF, text) for text in fail_if] + [parse_rule(Kind.REQUIRE, text) for text in require]
    return check(ours, rules, theirs, alpha, strict, proven)


def right(n: int, wrong: Sequence[int]) -> np.ndarray:
    """Correctness of n examples, of which those are wrong."""
    values = np.ones(n)
    values[list(wrong)] = 0
    return values
