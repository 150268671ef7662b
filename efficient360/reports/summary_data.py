"""A run's result as plain data for a script: verdict, alerts, axes, metrics and what is missing. The complete record is ``report.json``."""

from pathlib import Path
from typing import Any

from efficient360.core.measurement import Failure, Measurement
from efficient360.core.outcome import Record
from efficient360.reports.axis_scores import AxisScore, axis_scores
from efficient360.reports.folder import PAGE
from efficient360.reports.report import Report
from efficient360.reports.verdict import Point, verdict


def summary_data(report: Report, folder: Path) -> dict[str, Any]:
    """What ``efficient360 evaluate --json`` prints of a run.

    Args:
        report: The run's report.
        folder: The run's folder.

    Returns:
        Dictionaries, lists, texts, finite numbers and ``None``. ``metrics`` has a row for each measurement, ``missing`` one for each metric without a value,
        with its stable code; a void value has its reason under ``void``.
    """
    said = verdict(report)
    return {
        "checkpoint": report.name,
        "dataset": None if report.dataset is None else str(report.dataset.get("name", "")),
        "protocol": report.protocol.get("name"),
        "state": report.state,
        "folder": str(folder),
        "report": str(folder / PAGE),
        "verdict": {
            "sentences": list(said.sentences),
            "strengths": [_point(point) for point in said.strengths],
            "weaknesses": [_point(point) for point in said.weaknesses],
            "breaks": [{"axis": entry.axis, "condition": entry.what, "accuracy": entry.value, "clean_accuracy": entry.clean} for entry in said.breaks],
        },
        "alerts": [
            {"severity": str(alert.severity), "kind": str(alert.kind), "code": alert.code, "axis": alert.axis, "message": alert.message, "advice": alert.advice}
            for alert in said.alerts
        ],
        "axes": [_axis(score) for score in axis_scores(report)],
        "metrics": [_metric(record, record.outcome) for record in report.records if isinstance(record.outcome, Measurement)],
        "missing": [_missing(record, record.outcome) for record in report.records if isinstance(record.outcome, Failure)],
    }


def _point(point: Point) -> dict[str, Any]:
    return {"axis": point.axis.dimension.name, "metric": point.metric, "value": point.value}


def _axis(score: AxisScore) -> dict[str, Any]:
    axis = score.axis
    return {"name": axis.dimension.name, "score": axis.score, "coverage": axis.coverage, "mark": score.mark, "reason": score.reason}


def _metric(record: Record, m: Measurement) -> dict[str, Any]:
    interval = None if m.interval is None else {"low": m.interval.low, "high": m.interval.high, "level": m.interval.level, "method": m.interval.method}
    return {
        "evaluator": record.evaluator,
        "metric": m.metric.name,
        "conditions": dict(m.conditions),
        "value": m.value,
        "unit": str(m.metric.unit),
        "better": str(m.metric.better),
        "n": m.n,
        "interval": interval,
        "void": m.void,
    }


def _missing(record: Record, failure: Failure) -> dict[str, Any]:
    return {
        "evaluator": record.evaluator,
        "metric": None if failure.metric is None else failure.metric.name,
        "conditions": dict(failure.conditions),
        "status": str(failure.status),
        "code": failure.code,
        "message": failure.message,
        "hint": failure.hint,
    }
