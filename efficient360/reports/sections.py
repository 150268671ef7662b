"""A report in reading order: what is measured under the axis it feeds, what is missing with its reason. Text and HTML draw this."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from efficient360.core import formatting
from efficient360.core.figures import Figure
from efficient360.core.measurement import Better, Conditions, Failure, Measurement, Metric
from efficient360.core.outcome import Record
from efficient360.reports.names import words
from efficient360.reports.report import Axis, Report
from efficient360.reports.strip import Strip, strip

FEW = 6
"""More conditions of one metric than this are folded away."""

DIRECTIONS = {Better.HIGHER: "higher is better", Better.LOWER: "lower is better", Better.NEITHER: ""}


@final
@dataclass(frozen=True)
class Row:
    """One measured value as printed; ``distinct`` are those of its conditions that not all values of its metric share."""

    conditions: str
    distinct: str
    value: str
    interval: str
    n: str
    strip: Strip | None


@final
@dataclass(frozen=True)
class Group:
    """All values of one metric of one evaluator.

    Args:
        evaluator: Who measured it.
        title: The metric in words.
        metric: Its identity.
        direction: ``higher is better``, or empty.
        common: Conditions that all its values share.
        rows: Values to show.
        folded: Values under further conditions, to show on demand.
        scored: Whether the axis's score rests on one of its values.
    """

    evaluator: str
    title: str
    metric: Metric
    direction: str
    common: str
    rows: Sequence[Row]
    folded: Sequence[Row]
    scored: bool

    @property
    def lines(self) -> int:
        """How many lines it takes to show."""
        return len(self.rows) + (len(self.rows) != 1)


@final
@dataclass(frozen=True)
class Gap:
    """What has no value, and why. ``of`` names the metric in words, or the evaluator when all of it is missing."""

    of: str
    evaluator: str
    failure: Failure
    conditions: str


@final
@dataclass(frozen=True)
class Section:
    """What there is to say of one axis, its scored metrics first; ``axis`` is ``None`` for measurements that feed none."""

    axis: Axis | None
    groups: Sequence[Group]
    gaps: Sequence[Gap]
    figures: Sequence[Figure]

    def briefly(self, lines: int) -> tuple[list[Group], list[Group]]:
        """The groups to show first and the rest, to show on demand.

        First come those that make the score, then the others in their order as long as all fit; a rest of one would save nothing.

        Args:
            lines: About how many lines may be shown, above 0.
        """
        left = lines - sum(group.lines for group in self.groups if group.scored)
        shown: list[Group] = []
        rest: list[Group] = []
        for group in self.groups:
            if not group.scored:
                left -= group.lines
            (shown if group.scored or left >= 0 else rest).append(group)
        return (shown, rest) if len(rest) > 1 else (list(self.groups), [])


@final
@dataclass(frozen=True)
class Headline:
    """One number at the top."""

    title: str
    value: str
    interval: str


def sections(report: Report) -> list[Section]:
    """Every axis that has at least one measurement, in radar order, then whatever feeds no axis.

    A record stands under the first axis that scores its metric, else under the first that its evaluator feeds, else under the first that names its
    evaluator as related.
    """
    home: dict[str | None, list[Record]] = {}
    for record in report.records:
        home.setdefault(_home(report, record), []).append(record)
    axes: list[Axis | None] = [*report.axes, None]
    drawn = [(axis, home.get(axis.dimension.name if axis else None, [])) for axis in axes]
    return [_section(axis, records) for axis, records in drawn if any(isinstance(r.outcome, Measurement) for r in records)]


def unmeasured(report: Report) -> list[Axis]:
    """The axes that have no section, in radar order."""
    shown = {s.axis.dimension.name for s in sections(report) if s.axis}
    return [axis for axis in report.axes if axis.dimension.name not in shown]


def reasons(axis: Axis) -> list[str]:
    """Why an axis's summary metrics are missing, each reason once; none where nothing measures the axis yet."""
    return list(dict.fromkeys(part.reason for part in axis.parts if part.reason))


def headlines(report: Report) -> list[Headline]:
    """The first summary metric of each axis that has it, in radar order."""
    return [found for found in map(headline, report.axes) if found is not None]


def headline(axis: Axis) -> Headline | None:
    """An axis's first summary metric; ``None`` where that has no value."""
    m = axis.parts[0].measurement if axis.parts else None
    if m is None:
        return None
    return Headline(words(m.metric.name), formatting.number(m.value, m.metric), formatting.interval(m.interval, m.metric) if m.interval else "")


def gaps(records: Sequence[Record]) -> list[Gap]:
    """The failures among ``records``."""
    found = [(r, r.outcome) for r in records if isinstance(r.outcome, Failure)]
    return [Gap(words(f.metric.name if f.metric else r.evaluator), r.evaluator, f, formatting.conditions(f.conditions)) for r, f in found]


def _home(report: Report, record: Record) -> str | None:
    feeds = [(axis.dimension.name, part.anchor.metric) for axis in report.axes for part in axis.parts if part.anchor.evaluator == record.evaluator]
    exact = [name for name, metric in feeds if record.metric is not None and metric == record.metric.name]
    related = [axis.dimension.name for axis in report.axes if record.evaluator in axis.dimension.related]
    return next(iter([*exact, *(name for name, _ in feeds), *related]), None)


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
    return Section(axis, [_group(evaluator, ms, scored) for (evaluator, _), ms in first], gaps(records), figures)


def _group(evaluator: str, measurements: Sequence[Measurement], scored: Sequence[Measurement | None]) -> Group:
    metric = measurements[0].metric
    few = len(measurements) <= FEW
    shown = [m for m in measurements if few or not m.conditions or m in scored]
    folded = [m for m in measurements if m not in shown]
    first = measurements[0].conditions
    common = {key: value for key, value in first.items() if all(m.conditions.get(key) == value for m in measurements)}
    rows, more = [_row(m, common) for m in shown], [_row(m, common) for m in folded]
    fed = any(m in scored for m in measurements)
    return Group(evaluator, words(metric.name), metric, DIRECTIONS[metric.better], formatting.conditions(common), rows, more, fed)


def _row(m: Measurement, common: Conditions) -> Row:
    value, ends = formatting.number(m.value, m.metric), formatting.interval(m.interval, m.metric)
    distinct = formatting.conditions({key: c for key, c in m.conditions.items() if key not in common})
    return Row(formatting.conditions(m.conditions), distinct, value, ends, formatting.count(m.n), strip(m))
