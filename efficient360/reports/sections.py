"""A report in reading order: metrics by dimension, missing metrics with their reasons. The terminal and HTML renderers draw this."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from efficient360.core import formatting
from efficient360.core.figures import Figure
from efficient360.core.measurement import Better, Failure, Measurement, Metric, Status
from efficient360.core.outcome import Record
from efficient360.reports import names
from efficient360.reports.axis_scores import axis_of
from efficient360.reports.report import Axis, Report, SummaryMetric

FEW = 6
"""More conditions of one metric than this are folded."""
SAMPLES_DRAWN = 200
"""Raw repeats drawn in a strip at most; more would only darken it."""

DIRECTIONS = {Better.HIGHER: "higher is better", Better.LOWER: "lower is better", Better.NEITHER: ""}


@final
@dataclass(frozen=True)
class Strip:
    """A value on a line: positions of the value, the ends of its interval and the raw repeats, in percent of the line's width."""

    value: float
    low: float
    high: float
    samples: Sequence[float]


@final
@dataclass(frozen=True)
class MetricRow:
    """One measured value as printed.

    Args:
        conditions: All its conditions, empty where there are none.
        distinct: Those that not all values of the metric share; where it has none of them, what that means (``uncalibrated``, ``clean`` …).
        value: With its unit.
        interval: 95 % interval, range, ``exact`` or ``no interval``.
        note: Level and method of the interval, and what it holds fixed; empty where there is none.
        n: Number of examples or repeats.
        strip: Value and interval on a line, ``None`` without an interval or a scale.
        measurement: What is printed.
        scored: Whether it is a summary metric of the axis.
    """

    conditions: str
    distinct: str
    value: str
    interval: str
    note: str
    n: str
    strip: Strip | None
    measurement: Measurement
    scored: bool = False


@final
@dataclass(frozen=True)
class MetricGroup:
    """All values of one metric of one evaluator.

    Args:
        evaluator: Name of the evaluator.
        title: Display title of the metric.
        metric: The metric.
        direction: ``higher is better``, or empty.
        common: Conditions that all its values share.
        rows: Values to show.
        folded: Values under further conditions, to show on demand.
        scored: Whether one of its values is a summary metric of the axis.
    """

    evaluator: str
    title: str
    metric: Metric
    direction: str
    common: str
    rows: Sequence[MetricRow]
    folded: Sequence[MetricRow]
    scored: bool

    @property
    def lines(self) -> int:
        """Number of lines it occupies."""
        return len(self.rows) + (len(self.rows) != 1)


@final
@dataclass(frozen=True)
class MissingMetric:
    """A metric without a value. ``title`` is the metric's, or the evaluator's where all of its metrics are missing."""

    title: str
    evaluator: str
    failure: Failure
    conditions: str


@final
@dataclass(frozen=True)
class Section:
    """The metrics of one axis, scored ones first; ``axis`` is ``None`` for metrics that belong to no dimension."""

    axis: Axis | None
    groups: Sequence[MetricGroup]
    missing_metrics: Sequence[MissingMetric]
    figures: Sequence[Figure]

    def briefly(self, lines: int) -> tuple[list[MetricGroup], list[MetricGroup]]:
        """The groups to show, and the rest to show on demand.

        Scored groups are always shown, others in order as long as they fit; a rest of one would save nothing.

        Args:
            lines: Approximate number of lines that fit, above 0.
        """
        left = lines - sum(group.lines for group in self.groups if group.scored)
        shown: list[MetricGroup] = []
        rest: list[MetricGroup] = []
        for group in self.groups:
            if not group.scored:
                left -= group.lines
            (shown if group.scored or left >= 0 else rest).append(group)
        return (shown, rest) if len(rest) > 1 else (list(self.groups), [])


@final
@dataclass(frozen=True)
class HeadlineMetric:
    """One number at the top of the report."""

    title: str
    value: str
    interval: str


def sections(report: Report) -> list[Section]:
    """A section for every axis with at least one measurement, in radar order, then one for metrics that belong to no dimension.

    A record belongs to the first axis that scores its metric, else to the first that scores another metric of its evaluator, else to the first that names
    its evaluator as related.
    """
    by_axis: dict[str | None, list[Record]] = {}
    for record in report.records:
        by_axis.setdefault(axis_of(report, record), []).append(record)
    axes: list[Axis | None] = [*report.axes, None]
    grouped = [(axis, by_axis.get(axis.dimension.name if axis else None, [])) for axis in axes]
    return [_section(axis, records) for axis, records in grouped if any(isinstance(r.outcome, Measurement) for r in records)]


def unmeasured(report: Report) -> list[Axis]:
    """The axes that have no section, in radar order."""
    shown = {axis_of(report, record) for record in report.records if isinstance(record.outcome, Measurement)}
    return [axis for axis in report.axes if axis.dimension.name not in shown]


def no_score(axis: Axis) -> str:
    """Why an axis has no score: the summary metrics that are missing, with their conditions."""
    if axis.void:
        return f"no score, {'; '.join(dict.fromkeys(part.reason for part in axis.parts if part.void))}"
    missing = []
    for part in axis.parts:
        if part.measurement is None:
            conditions = names.conditions(part.anchor.conditions)
            missing.append(names.title(part.anchor.metric) + (f" ({conditions})" if conditions else ""))
    return f"no score, missing: {'; '.join(missing)}" if missing else "no score"


def headlines(report: Report) -> list[HeadlineMetric]:
    """The first summary metric of each axis, in radar order, where it has a value."""
    return [entry for entry in map(headline, report.axes) if entry is not None]


def headline(axis: Axis) -> HeadlineMetric | None:
    """An axis's first summary metric; ``None`` where that has no value."""
    m = axis.parts[0].measurement if axis.parts else None
    if m is None:
        return None
    return HeadlineMetric(names.title(m.metric.name), formatting.number(m.value, m.metric), formatting.interval(m.interval, m.metric) if m.interval else "")


def summary_row(section: Section, part: SummaryMetric) -> tuple[MetricGroup | None, MetricRow | None]:
    """The printed value of a summary metric with its group; ``None`` for what is missing."""
    mine = [group for group in section.groups if (group.evaluator, group.metric.name) == (part.anchor.evaluator, part.anchor.metric)]
    row = next((row for group in mine for row in group.rows if row.measurement is part.measurement), None)
    return next(iter(mine), None), row


@final
@dataclass(frozen=True)
class MissingGroup:
    """Metrics that are missing for one reason.

    Args:
        failure: The reason: its status, code, message and hint.
        metrics: The metrics.
    """

    failure: Failure
    metrics: Sequence[MissingMetric]

    @property
    def evaluators(self) -> Sequence[str]:
        """Names of the evaluators concerned."""
        return list(dict.fromkeys(m.evaluator for m in self.metrics))

    @property
    def titles(self) -> Sequence[str]:
        """The metrics, with their conditions."""
        return list(dict.fromkeys(f"{m.title} ({m.conditions})" if m.conditions else m.title for m in self.metrics))


def missing_groups(records: Sequence[Record]) -> list[MissingGroup]:
    """The failures among ``records``, grouped by reason: what failed first, then what was not run, then what does not apply."""
    grouped: dict[tuple[Status, str, str, str], list[MissingMetric]] = {}
    for missing in missing_metrics(records):
        f = missing.failure
        grouped.setdefault((f.status, f.code, f.message, f.hint), []).append(missing)
    order = (Status.FAILED, Status.NOT_RUN, Status.UNSUPPORTED)
    groups = [MissingGroup(missing[0].failure, missing) for missing in grouped.values()]
    return sorted(groups, key=lambda group: order.index(group.failure.status))


def missing_metrics(records: Sequence[Record]) -> list[MissingMetric]:
    """The failures among ``records``."""
    failed = [(r, r.outcome) for r in records if isinstance(r.outcome, Failure)]
    return [MissingMetric(names.of_record(record), record.evaluator, failure, names.conditions(failure.conditions)) for record, failure in failed]


def strip(m: Measurement) -> Strip | None:
    """The strip of a measurement with an interval or repeats; ``None`` without a scale.

    The scale is the metric's bounds, or from 0 to the largest value, interval end or repeat for a non-negative metric without an upper bound.
    """
    samples = m.samples[:: max(1, len(m.samples) // SAMPLES_DRAWN)]
    ends = (m.interval.low, m.interval.high) if m.interval else (m.value, m.value)
    if m.interval is None and not samples:
        return None
    numbers = (m.value, *ends, *samples)
    low = 0.0 if m.metric.low is None and min(numbers) >= 0 else m.metric.low
    high = max(numbers) * 1.05 if m.metric.high is None else m.metric.high
    if low is None or high <= low:
        return None
    positions = [100 * min(1.0, max(0.0, (v - low) / (high - low))) for v in numbers]
    return Strip(positions[0], positions[1], positions[2], positions[3:])


def _section(axis: Axis | None, records: Sequence[Record]) -> Section:
    measured = [(r.evaluator, r.outcome) for r in records if isinstance(r.outcome, Measurement)]
    grouped: dict[tuple[str, str], list[Measurement]] = {}
    for evaluator, m in measured:
        grouped.setdefault((evaluator, m.metric.name), []).append(m)
    scored = [part.measurement for part in axis.parts] if axis else []
    figures: list[Figure] = []
    for _, m in measured:
        figures += [f for f in m.extra if f not in figures]
    first = sorted(grouped.items(), key=lambda item: not any(m in scored for m in item[1]))
    return Section(axis, [_group(evaluator, ms, scored) for (evaluator, _), ms in first], missing_metrics(records), figures)


def _group(evaluator: str, measurements: Sequence[Measurement], scored: Sequence[Measurement | None]) -> MetricGroup:
    metric = measurements[0].metric
    few = len(measurements) <= FEW
    shown = [m for m in measurements if few or not m.conditions or m in scored]
    folded = [m for m in measurements if m not in shown]
    first = measurements[0].conditions
    common = {key: value for key, value in first.items() if all(m.conditions.get(key) == value for m in measurements)}
    differing = list(dict.fromkeys(key for m in measurements for key in m.conditions if key not in common))
    rows, more = ([_row(m, differing, any(m is part for part in scored)) for m in part] for part in (shown, folded))
    is_scored = any(m in scored for m in measurements)
    return MetricGroup(evaluator, names.title(metric.name), metric, DIRECTIONS[metric.better], names.conditions(common), rows, more, is_scored)


def _row(m: Measurement, differing: Sequence[str], scored: bool) -> MetricRow:
    value, interval, note = formatting.number(m.value, m.metric), formatting.uncertainty(m), formatting.interval_note(m)
    value = f"void ({value})" if m.void else value
    distinct = names.distinct({key: m.conditions[key] for key in differing if key in m.conditions}, differing)
    return MetricRow(names.conditions(m.conditions), distinct, value, interval, note, formatting.count(m.n), strip(m), m, scored)
