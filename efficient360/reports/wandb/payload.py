"""A report as the plain data that Weights & Biases logs: flat keys, table rows, config and files."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from efficient360.core.measurement import Conditions, Measurement
from efficient360.core.outcome import Record
from efficient360.reports.radar import radar
from efficient360.reports.report import Report

COLUMNS: Final = ("evaluator", "metric", "conditions", "value", "unit", "low", "high", "n", "status", "message")
AXIS_COLUMNS: Final = ("axis", "score", "coverage")
FINDING_COLUMNS: Final = ("code", "message", "advice")
FILES: Final = ("report.json", "report.html", "outcomes.jsonl", "examples.parquet")
TAG_LENGTH: Final = 64
LONG_LISTS: Final = ("class_names",)

Numbers = dict[str, float]


def run_payload(report: Report, folder: Path, project: str, entity: str) -> dict[str, Any]:
    """All that the process which writes the run needs, as JSON data.

    Args:
        report: What to log.
        folder: The evaluation's folder.
        project: Name of the W&B project.
        entity: Its user or team, ``""`` for the default.
    """
    name = str(report.checkpoint.get("name") or folder.name)
    digests = {"checkpoint_digest": report.checkpoint.get("digest"), "dataset_digest": (report.dataset or {}).get("digest")}
    return {
        "folder": str(folder.resolve()),
        "project": project,
        "entity": entity,
        "name": name,
        "tags": tags(report),
        "config": config(report),
        "metrics": metrics(report),
        "summary": summary_values(report),
        "tables": {
            "outcomes": {"columns": COLUMNS, "data": outcome_rows(report)},
            "axes": {"columns": AXIS_COLUMNS, "data": axis_rows(report)},
            "findings": {"columns": FINDING_COLUMNS, "data": finding_rows(report)},
        },
        "radar": radar(report.axes),
        "artifact": {
            "name": f"evaluation-{plain(name)}"[:128],
            "metadata": digests,
            "files": [str((folder / file).resolve()) for file in FILES if (folder / file).is_file()],
        },
    }


def metrics(report: Report) -> Numbers:
    """Each measured value by its key, and the score of each axis that has one. Missing metrics have no key."""
    scores = {f"dimensions/{axis.dimension.name}": axis.score for axis in report.axes if axis.score is not None}
    return {key: m.value for key, m in _measured(report)} | scores


def summary_values(report: Report) -> Numbers:
    """Values for the run's summary only: each interval's ends and ``n``, each axis's coverage, the numbers of failures and of findings."""
    values: Numbers = {"failures": len(report.failures), "finding_count": len(report.findings)}
    for key, measurement in _measured(report):
        if measurement.interval is not None:
            values |= {f"{key}/low": measurement.interval.low, f"{key}/high": measurement.interval.high}
        values[f"{key}/n"] = measurement.n
    return values | {f"dimensions/{axis.dimension.name}/coverage": axis.coverage for axis in report.axes}


def outcome_rows(report: Report) -> list[list[Any]]:
    """All outcomes, failures included, as rows under :data:`COLUMNS`."""
    return [_row(record) for record in report.records]


def axis_rows(report: Report) -> list[list[Any]]:
    """All axes as rows under :data:`AXIS_COLUMNS`; an axis without a score has ``None``."""
    return [[axis.dimension.title, axis.score, axis.coverage] for axis in report.axes]


def finding_rows(report: Report) -> list[list[Any]]:
    """Reasons to trust the run less as rows under :data:`FINDING_COLUMNS`, the worst first."""
    return [[finding.code, finding.message, finding.advice] for finding in report.findings]


def config(report: Report) -> dict[str, Any]:
    """What determines the numbers: checkpoint and data with their digests, protocol, seed, environment. Class names are left out."""
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
    """Tags to filter runs by: protocol, data set, architecture."""
    dataset = report.dataset or {}
    candidates = (report.protocol.get("name"), dataset.get("name"), report.checkpoint.get("architecture"))
    return tuple(dict.fromkeys(str(tag)[:TAG_LENGTH] for tag in candidates if tag))


def plain(text: str) -> str:
    """``text`` with letters, digits and underscores only: the only names that W&B can sort and filter by."""
    return re.sub(r"\W", "_", text, flags=re.ASCII)


def _measured(report: Report) -> Iterator[tuple[str, Measurement]]:
    """Each measurement under ``evaluator/metric/condition_value…``; a number is appended where plain names collide."""
    seen: dict[str, int] = {}
    for record in report.records:
        if isinstance(record.outcome, Measurement) and not record.outcome.void:
            key = _key(record.evaluator, record.outcome.metric.name, record.outcome.conditions)
            seen[key] = seen.get(key, 0) + 1
            yield (key if seen[key] == 1 else f"{key}_{seen[key]}"), record.outcome


def _key(evaluator: str, metric: str, conditions: Conditions) -> str:
    return "/".join([plain(evaluator), plain(metric), *(plain(f"{name}_{value}") for name, value in sorted(conditions.items()))])


def _row(record: Record) -> list[Any]:
    outcome = record.outcome
    identity = [record.evaluator, None if record.metric is None else record.metric.name]
    identity.append(", ".join(f"{name}={value}" for name, value in sorted(outcome.conditions.items())))
    if isinstance(outcome, Measurement):
        ends = [None, None] if outcome.interval is None else [outcome.interval.low, outcome.interval.high]
        return [*identity, float(outcome.value), outcome.metric.unit, *ends, outcome.n, "void" if outcome.void else "measured", outcome.void]
    unit = None if record.metric is None else record.metric.unit
    return [*identity, None, unit, None, None, None, outcome.status.value, outcome.message]


def _short(header: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key not in LONG_LISTS}
