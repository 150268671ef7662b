"""What a report becomes in Weights & Biases, as plain data: flat keys, table rows and the run's config."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from efficient360.core.measurement import Conditions, Measurement
from efficient360.core.outcome import Record
from efficient360.reports.report import Report

COLUMNS: Final = ("evaluator", "metric", "conditions", "value", "unit", "low", "high", "n", "status", "message")
AXIS_COLUMNS: Final = ("axis", "score", "coverage")
TAG_LENGTH: Final = 64
LONG_LISTS: Final = ("class_names",)

Numbers = dict[str, float]


def metrics(report: Report) -> Numbers:
    """Each measured value by its key, and the score of each axis that has one. What is missing has no key."""
    scores = {f"dimensions/{axis.dimension.name}": axis.score for axis in report.axes if axis.score is not None}
    return {key: m.value for key, m in _measured(report)} | scores


def particulars(report: Report) -> Numbers:
    """What stands beside the values: each interval's ends and ``n``, each axis's coverage, how many outcomes are failures."""
    found: Numbers = {"failures": len(report.failures)}
    for key, measurement in _measured(report):
        if measurement.interval is not None:
            found |= {f"{key}/low": measurement.interval.low, f"{key}/high": measurement.interval.high}
        found[f"{key}/n"] = measurement.n
    return found | {f"dimensions/{axis.dimension.name}/coverage": axis.coverage for axis in report.axes}


def rows(report: Report) -> list[list[Any]]:
    """All outcomes, failures included, as rows under :data:`COLUMNS`."""
    return [_row(record) for record in report.records]


def axis_rows(report: Report) -> list[list[Any]]:
    """All axes as rows under :data:`AXIS_COLUMNS`; an axis without a score has ``None``."""
    return [[axis.dimension.title, axis.score, axis.coverage] for axis in report.axes]


def config(report: Report) -> dict[str, Any]:
    """What determines the numbers: checkpoint and data with their digests, protocol, seed, environment. Long lists of classes stay out."""
    return {
        "checkpoint": _short(report.checkpoint),
        "dataset": None if report.dataset is None else _short(report.dataset),
        "protocol": dict(report.protocol),
        "environment": dict(report.environment),
        "command": report.command,
        "state": report.state,
        "created": report.created,
    }


def tags(report: Report) -> tuple[str, ...]:
    """What runs are filtered by: protocol, data set, architecture."""
    data = report.dataset or {}
    named = (report.protocol.get("name"), data.get("name"), report.checkpoint.get("architecture"))
    return tuple(dict.fromkeys(str(tag)[:TAG_LENGTH] for tag in named if tag))


def plain(text: str) -> str:
    """``text`` with letters, digits and underscores only: W&B can sort and filter by no other names."""
    return re.sub(r"\W", "_", text, flags=re.ASCII)


def _measured(report: Report) -> Iterator[tuple[str, Measurement]]:
    """Each measurement under ``evaluator/metric/condition_value…``; a number tells apart what plain names can't."""
    seen: dict[str, int] = {}
    for record in report.records:
        if isinstance(record.outcome, Measurement):
            key = _key(record.evaluator, record.outcome.metric.name, record.outcome.conditions)
            seen[key] = seen.get(key, 0) + 1
            yield (key if seen[key] == 1 else f"{key}_{seen[key]}"), record.outcome


def _key(evaluator: str, metric: str, conditions: Conditions) -> str:
    return "/".join([plain(evaluator), plain(metric), *(plain(f"{name}_{value}") for name, value in sorted(conditions.items()))])


def _row(record: Record) -> list[Any]:
    outcome = record.outcome
    where = [record.evaluator, None if record.metric is None else record.metric.name]
    where.append(", ".join(f"{name}={value}" for name, value in sorted(outcome.conditions.items())))
    if isinstance(outcome, Measurement):
        ends = [None, None] if outcome.interval is None else [outcome.interval.low, outcome.interval.high]
        return [*where, float(outcome.value), outcome.metric.unit, *ends, outcome.n, "measured", ""]
    unit = None if record.metric is None else record.metric.unit
    return [*where, None, unit, None, None, None, outcome.status.value, outcome.message]


def _short(of: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in of.items() if key not in LONG_LISTS}
