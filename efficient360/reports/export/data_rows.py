"""Outcomes as rows of plain data, numbers in full: what CSV, JSON, Parquet and data frames hold."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from efficient360.core.measurement import Failure
from efficient360.core.outcome import Record
from efficient360.reports.axis_scores import axis_of
from efficient360.reports.export.selected import Content, Exported
from efficient360.reports.score_interval import score_interval
from efficient360.reports.text_tables import data_table, to_csv

COLUMNS: Final[Mapping[str, type]] = {
    "run": str,
    "axis": str,
    "evaluator": str,
    "metric": str,
    "conditions": str,
    "value": float,
    "low": float,
    "high": float,
    "n": int,
    "unit": str,
    "better": str,
    "interval_method": str,
    "interval_level": float,
    "interval_conditional_on": str,
    "status": str,
    "reason": str,
}
"""Columns of outcomes; conditions are JSON with sorted keys. A value with the status ``void`` means nothing, and the reason says why."""
SCORE_COLUMNS: Final[Mapping[str, type]] = {"run": str, "axis": str, "score": float, "low": float, "high": float, "bound": str, "coverage": float}
"""Columns of the axes' scores; the interval is that of the summary metrics, through the anchors."""


def columns(chosen: Exported) -> Mapping[str, type]:
    """The columns of :func:`rows` with their types."""
    return SCORE_COLUMNS if chosen.content is Content.SCORES else COLUMNS


def rows(chosen: Exported) -> list[dict[str, Any]]:
    """One row an outcome and run, or an axis and run; ``None`` where there is no number."""
    if chosen.content is Content.SCORES:
        return [row for name, report in zip(chosen.names, chosen.reports, strict=True) for row in _scores(chosen, name, report)]
    return [
        {"run": name, "axis": axis_of(report, record) or "", **outcome_row(record), "conditions": json.dumps(dict(record.outcome.conditions), sort_keys=True)}
        for name, report in zip(chosen.names, chosen.reports, strict=True)
        for record in chosen.records(report)
    ]


def outcome_row(record: Record) -> dict[str, Any]:
    """One outcome; its conditions as a dictionary."""
    outcome, metric = record.outcome, record.metric
    interval = None if isinstance(outcome, Failure) else outcome.interval
    return {
        "evaluator": record.evaluator,
        "metric": None if metric is None else metric.name,
        "value": None if isinstance(outcome, Failure) else outcome.value,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "n": None if isinstance(outcome, Failure) else outcome.n,
        "unit": None if metric is None else str(metric.unit),
        "better": None if metric is None else metric.better.value,
        "interval_method": None if interval is None else interval.method,
        "status": outcome.status.value if isinstance(outcome, Failure) else "void" if outcome.void else "measured",
        "reason": outcome.message if isinstance(outcome, Failure) else outcome.void,
        "interval_level": None if interval is None else interval.level,
        "interval_conditional_on": "" if interval is None else interval.conditional_on,
        "conditions": json.loads(json.dumps(dict(outcome.conditions))),
    }


def as_csv(chosen: Exported) -> str:
    """CSV (RFC 4180) with a line of heads; numbers in full, nothing where there is none."""
    return to_csv(data_table(list(columns(chosen)), rows(chosen)))


def as_json(chosen: Exported) -> str:
    """A JSON array of objects, ``null`` where there is no number."""
    names = list(columns(chosen))
    ordered = [{name: row[name] for name in names} for row in rows(chosen)]
    for row in ordered:
        if "conditions" in row:
            row["conditions"] = json.loads(row["conditions"])
    return json.dumps(ordered, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_parquet(chosen: Exported) -> bytes:
    """A Parquet file with typed columns, empty cells where there is no number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), float: pa.float64(), int: pa.int64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns(chosen).items()])
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows(chosen), schema=schema), buffer, compression="zstd")
    return buffer.getvalue()


def _scores(chosen: Exported, name: str, report: Any) -> Sequence[dict[str, Any]]:
    found = []
    for axis in report.axes:
        if axis.dimension.name in chosen.axes():
            ends = score_interval(axis)
            low, high = (None, None) if ends is None else (ends.low, ends.high)
            bound = "" if axis.bound is None else axis.bound.value
            values = {"score": axis.score, "low": low, "high": high, "bound": bound, "coverage": axis.coverage}
            found.append({"run": name, "axis": axis.dimension.name, **values})
    return found
