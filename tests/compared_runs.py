"""Made-up runs to compare: a report with a few records and the table of per-example values behind them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from efficient360.core.measurement import BYTE, MAC, NAT, ONE, SECOND, Better, Interval, Measurement, Metric
from efficient360.core.outcome import Record
from efficient360.dimensions.dimension import Anchor, Dimension
from efficient360.reports.comparing.example_values import ExampleTable
from efficient360.reports.comparing.run import Run
from efficient360.reports.report import Report, axes_of

TOP1 = Metric("top1", ONE, Better.HIGHER, "Right or wrong.", low=0, high=1)
NLL = Metric("nll", NAT, Better.LOWER, "Negative log-likelihood.", low=0)
MACS = Metric("macs", MAC, Better.LOWER, "Multiply-accumulates.", low=0)
BYTES = Metric("weight_bytes", BYTE, Better.LOWER, "Bytes.", low=0)
ECE = Metric("ece", ONE, Better.LOWER, "Calibration error.", low=0, high=1)
LATENCY = Metric("best_latency", SECOND, Better.LOWER, "Seconds.", low=0)
AUC = Metric("strongest_attack_auc", ONE, Better.LOWER, "AUC.", low=0, high=1)
CORRUPTED = Metric("corruption_accuracy", ONE, Better.HIGHER, "Accuracy under corruption.", low=0, high=1)
AXES = [
    Dimension("performance", "Performance", "How accurate?", 1, [Anchor("accuracy", "top1", 0, 1, "s")], related=("quality",)),
    Dimension("computation", "Computation", "How costly?", 2, [Anchor("macs", "macs", 1e10, 1e8, "s")]),
    Dimension("memory", "Memory", "How large?", 3, [Anchor("parameters", "weight_bytes", 1e9, 1e6, "s"), Anchor("macs", "macs", 1e10, 1e8, "s")]),
    Dimension("latency", "Latency", "How fast?", 4, [Anchor("latency", "best_latency", 1, 0.001, "s")]),
    Dimension("robustness", "Robustness", "How robust?", 5, [Anchor("corruption", "corruption_accuracy", 0, 1, "s", conditions={"over": "2 corruptions"})]),
    Dimension("privacy", "Privacy", "How private?", 6, [Anchor("membership_inference", "strongest_attack_auc", 1, 0.5, "s")]),
]
Columns = Mapping[tuple[str, str, str], Sequence[float] | np.ndarray]


def table(columns: Columns, ids: Sequence[str] = ()) -> ExampleTable:
    return ExampleTable({key: {(ids[i] if len(ids) else f"x{i}"): float(value) for i, value in enumerate(values)} for key, values in columns.items()})


def made(name: str, records: Sequence[Record], columns: Columns = {}, data: str | None = "d") -> Run:  # noqa: B006
    dataset = None if data is None else {"name": "made-up", "split": "test", "examples": 100, "digest": data}
    checkpoint: dict[str, Any] = {"name": name, "digest": name, "architecture": "vit"}
    report = Report("complete", "2026-01-01", "", "", checkpoint, dataset, {}, {"name": "quick"}, list(records), axes_of(AXES, records))
    return Run(report, table(columns))


def share(metric: Metric, values: np.ndarray, evaluator: str = "accuracy", **conditions: Any) -> Record:
    return Record(evaluator, Measurement(metric, float(values.mean()), len(values), Interval(0.0, 1.0, "wilson"), conditions))


def full(name: str, right: np.ndarray, **values: Any) -> Run:
    """A run with every axis: accuracy in pairs, two corruptions of which one halves it, costs, three timings, a void attack."""
    fog = right * (np.arange(len(right)) % 2)
    records = [
        share(TOP1, right),
        Record("macs", Measurement(MACS, values.get("macs", 1e9))),
        Record("parameters", Measurement(BYTES, values.get("bytes", 1e7))),
        Record("latency", Measurement(LATENCY, values.get("latency", 0.01), 300, Interval(0.008, 0.012, "student-t over 3 processes"))),
        share(CORRUPTED, (right + fog) / 2, "corruption", over="2 corruptions"),
        share(CORRUPTED, fog, "corruption", corruption="fog", over="1 severity"),
        Record("membership_inference", Measurement(AUC, 0.6, 100, Interval(0.55, 0.65, "newcombe"), void="pixels alone tell members")),
    ]
    columns = {
        ("accuracy", "top1", "{}"): right,
        ("corruption", "correct", '{"corruption": "snow", "severity": 1}'): right,
        ("corruption", "correct", '{"corruption": "fog", "severity": 1}'): fog,
    }
    return made(name, records, columns, values.get("data", "d"))
