"""Runs side by side as a table to read: for a paper, a README, a pull request."""

import dataclasses
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.core import formatting
from efficient360.core.measurement import Failure, Measurement
from efficient360.core.outcome import Record
from efficient360.reports import names
from efficient360.reports.axis_scores import axis_of
from efficient360.reports.comparability import differences, identity, in_words
from efficient360.reports.export.selected import Content, Exported
from efficient360.reports.report import Axis, Report, summary_record
from efficient360.reports.score_interval import score_interval
from efficient360.reports.text_tables import TextTable

NOTHING: Final = "–"
OTHERWISE: Final = "†"
"""Behind a value that was measured in another way than the first of its line."""


@final
@dataclass(frozen=True)
class _Line:
    """A line of the table: its heads, and the outcome of each run, ``None`` where it has none."""

    heads: tuple[str, ...]
    outcomes: Sequence[Record | None]


def reading_table(chosen: Exported, intervals: bool = True) -> TextTable:
    """The runs as columns, and a line for each axis, summary metric or metric.

    Args:
        chosen: What to tell of which runs.
        intervals: Whether values have their 95 % intervals behind them.
    """
    if chosen.content is Content.SCORES:
        return _scores(chosen, intervals)
    lines = list(_summary(chosen) if chosen.content is Content.SUMMARY else _metrics(chosen))
    heads: tuple[str, ...] = ("Axis", "Metric") if chosen.content is Content.SUMMARY else ("Metric", "Conditions")
    if all(not line.heads[1] for line in lines):
        heads, lines = heads[:1], [_Line(line.heads[:1], line.outcomes) for line in lines]
    rows = [(*line.heads, *(_value(record, intervals) + (OTHERWISE if _unlike(line, i) else "") for i, record in enumerate(line.outcomes))) for line in lines]
    return TextTable((*heads, *chosen.names), rows, _title(chosen), left=len(heads), notes=_notes(chosen, lines, rows))


def names_once(table: TextTable) -> TextTable:
    """The same table with what stands first in a line only where it changes, for a page that is narrow."""
    rows = [("" if i and row[0] == table.rows[i - 1][0] else row[0], *row[1:]) for i, row in enumerate(table.rows)]
    return dataclasses.replace(table, rows=rows)


def _scores(chosen: Exported, intervals: bool) -> TextTable:
    rows = []
    for name in chosen.axes():
        axes = [next((axis for axis in report.axes if axis.dimension.name == name), None) for report in chosen.reports]
        title = next((axis.dimension.title for axis in axes if axis is not None), name)
        rows.append((title, *(_score(axis, intervals) for axis in axes)))
    ends = "; 95 % intervals of the summary metrics, through the anchors, in brackets" if intervals else ""
    notes = [f"Scores between the fixed anchors of each axis, 0 to 1, higher is better{ends}."]
    marked = any(mark in cell for row in rows for cell in row[1:] for mark in ("≤", "≥", "*"))
    notes += ["≤, ≥, *: measured with other settings than the axis takes: an upper bound, a lower bound, neither."] if marked else []
    notes += [f"{NOTHING}: a summary metric is missing or void."] if any(NOTHING in row for row in rows) else []
    return TextTable(("Axis", *chosen.names), rows, _title(chosen), notes=notes)


def _score(axis: Axis | None, intervals: bool) -> str:
    if axis is None or axis.score is None:
        return NOTHING
    ends = score_interval(axis) if intervals else None
    return axis.score_text if ends is None or ends.low == ends.high else f"{axis.score_text} [{ends.low:.2f}, {ends.high:.2f}]"


def _summary(chosen: Exported) -> Iterator[_Line]:
    for axis in chosen.reports[0].axes:
        if axis.dimension.name in chosen.axes():
            for part in axis.parts:
                found = [summary_record(part.anchor, report.records) for report in chosen.reports]
                if chosen.metric in ("", part.anchor.metric):
                    metric = names.subject(part.anchor.metric, part.anchor.conditions)
                    yield _Line((axis.dimension.title, metric), [None if pair is None else pair[0] for pair in found])


def _metrics(chosen: Exported) -> Iterator[_Line]:
    by_run = [{identity(record): record for record in chosen.records(report) if record.metric is not None} for report in chosen.reports]
    order = {name: i for i, name in enumerate(chosen.axes())}
    known: dict[Hashable, tuple[Report, Record]] = {}
    for report, records in zip(chosen.reports, by_run, strict=True):
        for key, record in records.items():
            known.setdefault(key, (report, record))
    measured = {_metric(record) for _, record in known.values() if isinstance(record.outcome, Measurement)}
    seen = {metric: place for place, metric in reversed(list(enumerate(_metric(record) for _, record in known.values())))}
    for key, (_, record) in sorted(known.items(), key=lambda item: (order.get(axis_of(*item[1]) or "", len(order)), seen[_metric(item[1][1])])):
        outcomes = [records.get(key) for records in by_run]
        lacking = _metric(record) not in measured
        if record.metric is not None and (lacking or any(found is not None and isinstance(found.outcome, Measurement) for found in outcomes)):
            yield _Line((names.title(record.metric.name), names.conditions(record.outcome.conditions)), outcomes)


def _metric(record: Record) -> tuple[str, str]:
    return record.evaluator, "" if record.metric is None else record.metric.name


def _value(record: Record | None, intervals: bool) -> str:
    if record is None or isinstance(record.outcome, Failure):
        return NOTHING
    m = record.outcome
    if m.void:
        return "void"
    value = formatting.number(m.value, m.metric)
    if not intervals or m.interval is None or m.interval.level is None:
        return value
    low, high = formatting.both_ends(m.interval, m.metric)
    unit = value.partition(" ")[2]
    alike = bool(unit) and " " not in low and high.endswith(f" {unit}")
    return f"{value} [{low}, {high.removesuffix(f' {unit}') if alike else high}]"


def _unlike(line: _Line, run: int) -> str:
    """In what a run's value was measured differently from the first of its line; empty where it was not."""
    first, record = next((r for r in line.outcomes if r is not None and isinstance(r.outcome, Measurement)), None), line.outcomes[run]
    if first is None or record is None or record is first or not isinstance(record.outcome, Measurement):
        return ""
    return in_words(differences(first, record))


def _title(chosen: Exported) -> str:
    axis = next((a.dimension.title for a in chosen.reports[0].axes if a.dimension.name == chosen.axis), "")
    what = axis or (names.title(chosen.metric) if chosen.metric else "Scores of the axes" if chosen.content is Content.SCORES else "Summary metrics")
    datasets = [report.dataset for report in chosen.reports if report.dataset is not None]
    told = list(dict.fromkeys(" ".join(str(d[key]) for key in ("name", "split") if d.get(key)) for d in datasets))
    return f"{what} on {told[0]}" if len(told) == 1 and told[0] else what


def _notes(chosen: Exported, lines: Sequence[_Line], rows: Sequence[Sequence[str]]) -> list[str]:
    values = [r.outcome for line in lines for r in line.outcomes if r is not None and isinstance(r.outcome, Measurement)]
    numbers = [m.n for m in values if m.interval is not None and m.interval.level is not None and not m.void]
    notes = []
    if any("[" in cell for row in rows for cell in row):
        least, most = formatting.count(min(numbers)), formatting.count(max(numbers))
        notes.append(f"95 % intervals in brackets; n = {least if least == most else f'{least} to {most}'}.")
    notes += [f"void: {reason}." for reason in dict.fromkeys(m.void for m in values if m.void)]
    unlike: dict[tuple[int, str], dict[str, None]] = {}
    for line in lines:
        for i, record in enumerate(line.outcomes):
            if record is not None and (told := _unlike(line, i)):
                unlike.setdefault((i, told), {})[record.evaluator] = None
    notes += [f"{OTHERWISE} measured differently in {chosen.names[i]}, {told}: {', '.join(evaluators)}." for (i, told), evaluators in sorted(unlike.items())]
    notes += _bounds(chosen, lines)
    return notes + ([f"{NOTHING}: not measured."] if any(NOTHING in row for row in rows) else []) + _lacking(lines)


def _bounds(chosen: Exported, lines: Sequence[_Line]) -> list[str]:
    """Which axes with a summary metric in the table were measured with other settings than they take, and what their scores are therefore."""
    shown = {_metric(record) for line in lines for record in line.outcomes if record is not None}
    told: dict[str, list[str]] = {}
    for name, report in zip(chosen.names, chosen.reports, strict=True):
        for axis in report.axes:
            if (
                axis.bound is not None
                and axis.dimension.name in chosen.axes()
                and shown & {(p.anchor.evaluator, p.anchor.metric) for p in axis.parts if p.settings}
            ):
                told.setdefault(f"{axis.dimension.title}, {axis.bound_brief} than the axis takes", []).append(f"{axis.score_text} ({name})")
    return [f"{what}; score {', '.join(scores)}." for what, scores in told.items()]


def _lacking(lines: Sequence[_Line]) -> list[str]:
    """Why no run has a metric, metrics of one reason together."""
    reasons: dict[str, dict[str, None]] = {}
    for line in lines:
        failures = [record.outcome for record in line.outcomes if record is not None and isinstance(record.outcome, Failure)]
        if failures and not any(record is not None and isinstance(record.outcome, Measurement) for record in line.outcomes):
            reasons.setdefault(failures[0].message, {})[line.heads[0]] = None
    return [f"{', '.join(titles)}: {reason}." for reason, titles in reasons.items()]
