"""What the page shows of one axis: its summary metrics, alerts and leading figure at once; everything else on demand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from efficient360.core.figures import Figure, Table
from efficient360.core.findings import is_findings
from efficient360.core.formatting import counted
from efficient360.reports import names
from efficient360.reports.alerts import Alert, of_axis, warnings
from efficient360.reports.axis_scores import AxisScore
from efficient360.reports.sections import MetricGroup, MetricRow, Section, summary_row


@final
@dataclass(frozen=True)
class SummaryRow:
    """A summary metric with its printed value, or why it is missing.

    Args:
        title: The metric's display title.
        description: What it means; empty where no metric was stored.
        direction: ``higher is better``, or empty.
        row: The printed value; ``None`` where it is missing.
        reason: Why it is missing; ``void`` alone, as an alert says why.
        score: Its share in the axis's score with two digits; empty where it is missing.
    """

    title: str
    description: str
    direction: str
    row: MetricRow | None
    reason: str
    score: str


@final
@dataclass(frozen=True)
class AxisPage:
    """One axis as the page lays it out.

    Args:
        section: The axis's section, without what is in ``summary``.
        score: The axis in one line; ``None`` for metrics that belong to no dimension.
        alerts: What to know before relying on it.
        summary: Its summary metrics.
        lead: The figure shown at once; ``None`` where there is none, or where a number of the axis is void.
        rest: The other figures, tables of warnings first.
    """

    section: Section
    score: AxisScore | None
    alerts: Sequence[Alert]
    summary: Sequence[SummaryRow]
    lead: Figure | None
    rest: Sequence[Figure]

    @property
    def contents(self) -> str:
        """What is on demand: ``12 more metrics, 3 figures, 4 tables``."""
        charts = sum(not isinstance(figure, Table) for figure in self.rest)
        counts = ((len(self.section.groups), "more metric"), (charts, "figure"), (len(self.rest) - charts, "table"))
        parts = [counted(n, what) for n, what in counts if n]
        if missing := len(self.section.missing_metrics):
            parts.append(f"{missing} missing")
        return ", ".join(parts)


def axis_page(section: Section, score: AxisScore | None, found: Sequence[Alert]) -> AxisPage:
    """Lay out one section.

    Args:
        section: The metrics and figures of an axis.
        score: The axis in one line; ``None`` for metrics that belong to no dimension.
        found: All alerts of the report.
    """
    groups = [group for group in map(_without_summary, section.groups) if group.rows or group.folded]
    lead = None if section.axis is not None and section.axis.void else _lead(section)
    rest = sorted((figure for figure in section.figures if figure is not lead), key=lambda figure: not (isinstance(figure, Table) and is_findings(figure)))
    alerts = warnings(of_axis(found, section.axis)) if section.axis is not None else []
    return AxisPage(replace(section, groups=groups), score, alerts, _summary(section), lead, rest)


def _summary(section: Section) -> list[SummaryRow]:
    rows = []
    for part in section.axis.parts if section.axis else ():
        group, row = summary_row(section, part)
        rows.append(
            SummaryRow(
                title=names.title(part.anchor.metric),
                description=group.metric.description if group else "",
                direction=group.direction if group else "",
                row=row,
                reason="void" if part.void else part.reason,
                score="" if part.score is None else f"{part.score:.2f}",
            )
        )
    return rows


def _without_summary(group: MetricGroup) -> MetricGroup:
    return replace(group, rows=[row for row in group.rows if not row.scored], scored=False)


def _lead(section: Section) -> Figure | None:
    """The first chart or gallery, before others one by what the first summary metric judges; where there is none, the first table that is none of warnings."""
    drawn = [figure for figure in section.figures if not isinstance(figure, Table)]
    tables = [figure for figure in section.figures if isinstance(figure, Table) and not is_findings(figure)]
    judged = section.axis.parts[0].measurement if section.axis is not None and section.axis.parts else None
    by = [f" by {value}" for value in judged.conditions.values()] if judged is not None else []
    of_it = [figure for figure in drawn if figure.title.endswith(tuple(by))]
    return next(iter([*of_it, *drawn, *tables]), None)
