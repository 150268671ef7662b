"""What an axis's score rests on, in words: each summary metric's value, what 0 and 1 mean in its unit, and why a score is missing."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from efficient360.core import formatting
from efficient360.core.measurement import Measurement, Metric
from efficient360.core.outcome import Record
from efficient360.reports import names
from efficient360.reports.report import Axis, Report, SummaryMetric


@final
@dataclass(frozen=True)
class ScoredMetric:
    """One summary metric of an axis as printed.

    Args:
        title: Its display title.
        value: With its unit; empty where it is not measured.
        interval: Its 95 % interval, ``exact`` or ``no interval``; empty where it is not measured.
        zero: What scores 0: ``1.00 s or more``, ``0.0 %``.
        one: What scores 1: ``1.00 ms or less``, ``100.0 %``.
        reason: Why it is missing; empty where it is measured.
        place: The runtime and device that it was measured with: ``ONNX Runtime, fp32, on the machine of this run``; empty where it has no device.
    """

    title: str
    value: str
    interval: str
    zero: str
    one: str
    reason: str
    place: str = ""


@final
@dataclass(frozen=True)
class AxisScore:
    """An axis in one line.

    Args:
        axis: The axis.
        metrics: Its summary metrics.
        mark: What the mark of the score means, in a few words; empty without one.
        reason: Why there is no score, in one short line; empty where there is one.
    """

    axis: Axis
    metrics: Sequence[ScoredMetric]
    mark: str
    reason: str


def axis_scores(report: Report) -> list[AxisScore]:
    """Every axis in one line, in radar order."""
    metrics = _metrics(report.records)
    return [
        AxisScore(axis, [_scored(part, metrics.get((part.anchor.evaluator, part.anchor.metric))) for part in axis.parts], axis.bound_brief, reason(axis))
        for axis in report.axes
    ]


def reason(axis: Axis) -> str:
    """Why an axis has no score, in one short line; empty where it has one."""
    if axis.score is not None:
        return ""
    if not axis.parts:
        return "no evaluator measures it yet"
    missing = [part for part in axis.parts if part.measurement is None]
    if axis.void:
        return "; ".join(dict.fromkeys(part.reason for part in missing if part.void))
    measured = len(axis.parts) - len(missing)
    why = "; ".join(dict.fromkeys(part.reason for part in missing))
    return f"{measured} of {len(axis.parts)} measured: {why}" if measured else f"not measured: {why}"


def axis_of(report: Report, record: Record) -> str | None:
    """Name of the axis that a record belongs to; ``None`` for one that belongs to no dimension.

    It is the first axis that scores the record's metric, else the first that scores another metric of its evaluator, else the first that names its evaluator
    as related.
    """
    scores = [(axis.dimension.name, part.anchor.metric) for axis in report.axes for part in axis.parts if part.anchor.evaluator == record.evaluator]
    exact = [name for name, metric in scores if record.metric is not None and metric == record.metric.name]
    related = [axis.dimension.name for axis in report.axes if record.evaluator in axis.dimension.related]
    return next(iter([*exact, *(name for name, _ in scores), *related]), None)


def anchor_value(value: float, metric: Metric | None) -> str:
    """An anchor's value in its metric's unit, where the metric is known: ``1.2 GB``, ``20 %``."""
    if metric is not None:
        return re.sub(r"(\.\d*?)0+(?!\d)", r"\1", formatting.number(value, metric)).replace(". ", " ").removesuffix(".")
    return formatting.unitless(value)


def _metrics(records: Iterable[Record]) -> dict[tuple[str, str], Metric]:
    """The metrics that were measured or missed, by evaluator and name."""
    return {(record.evaluator, record.metric.name): record.metric for record in records if record.metric is not None}


def _scored(part: SummaryMetric, metric: Metric | None) -> ScoredMetric:
    m: Measurement | None = part.measurement
    value = "" if m is None else formatting.number(m.value, m.metric)
    interval = "" if m is None else formatting.uncertainty(m)
    rising = part.anchor.one > part.anchor.zero
    zero = _end(part.anchor.zero, metric, "less" if rising else "more")
    one = _end(part.anchor.one, metric, "more" if rising else "less")
    return ScoredMetric(names.title(part.anchor.metric), value, interval, zero, one, part.reason, "" if m is None else names.place(m.conditions))


def _end(value: float, metric: Metric | None, beyond: str) -> str:
    """A value that scores 0 or 1, and on which side further values score the same; none lie beyond a bound of the metric."""
    bound = None if metric is None else metric.high if beyond == "more" else metric.low
    text = anchor_value(value, metric)
    return text if bound is not None and value == bound else f"{text} or {beyond}"
