"""Every metric of a run in the terminal, by dimension, readable at 80 columns, with or without colour."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from efficient360.core import formatting
from efficient360.core.findings import Finding
from efficient360.core.text import one_line
from efficient360.reports import sections
from efficient360.reports.alerts import Kind, alerts, of_axis
from efficient360.reports.html import STATUSES
from efficient360.reports.report import Axis, Report
from efficient360.reports.sections import MetricGroup, MetricRow
from efficient360.reports.terminal_lines import axis_line, heading, indented, unfinished

LINES = 12
"""Approximate number of lines printed for a dimension; the report has them all."""
NAMED = 6
"""Number of metrics left to the report that are named."""
FILES = ("report.html", "report.json", "outcomes.jsonl", "examples.parquet")


def full_listing(report: Report, folder: Path | None = None) -> RenderableType:
    """Measurements by dimension, missing metrics with their reasons, and the run's files.

    Text from checkpoints and data sets is never interpreted as markup.

    Args:
        report: The run's report.
        folder: The run's folder; its files are listed when given.
    """
    return Stack(*_blocks(report, folder))


def _blocks(report: Report, folder: Path | None) -> Iterator[RenderableType]:
    yield from heading(report)
    if report.findings:
        yield Text.assemble("\n", (f"Check first: {formatting.counted(len(report.findings), 'finding')}", "bold yellow"))
        yield from (indented(_finding(finding)) for finding in report.findings)
    yield from unfinished(report)
    disturbed = [alert for alert in alerts(report) if alert.kind is Kind.NOISY]
    for section in sections.sections(report):
        yield Text.assemble("\n", *_head(section.axis))
        for alert in of_axis(disturbed, section.axis) if section.axis else ():
            yield indented(Text(f"{alert.severity}: {one_line(alert.message)}", style="yellow"))
        shown, rest = section.briefly(LINES)
        yield indented(_metrics(shown))
        if further := [*(_counted(group, len(group.folded)) for group in shown if group.folded), *(_counted(g, len(g.rows) + len(g.folded)) for g in rest)]:
            more = f"; and {len(further) - NAMED} more" if len(further) > NAMED else ""
            yield Padding(Text(f"in the report: {'; '.join(further[:NAMED])}{more}", style="dim"), (0, 0, 0, 2))
    yield from _missing(report)
    yield from _overview(report)
    if folder is not None:
        files = [name for name in FILES[1:] if (folder / name).exists()]
        yield Text.assemble("\n", (str(folder / FILES[0]), "bold"), (f"\n  with {', '.join(files)}" if files else "", "dim"), "\n")


def _finding(finding: Finding) -> Text:
    return Text.assemble("- ", one_line(finding.message), (f" → {one_line(finding.advice)}", "dim"))


def _head(axis: Axis | None) -> list[tuple[str, str]]:
    if axis is None:
        return [("Other metrics", "bold cyan")]
    score = f"score {axis.score_text}" if axis.score is not None else sections.no_score(axis)
    if axis.bound_text:
        score += f"  {axis.bound_text}"
    return [(axis.dimension.title, "bold cyan"), (f"  {score}", "dim")]


def _counted(group: MetricGroup, values: int) -> str:
    return f"{one_line(group.title)} ({values} values)" if values > 1 else one_line(group.title)


def _metrics(groups: Sequence[MetricGroup]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False, expand=False)
    table.add_column(min_width=32, max_width=32, overflow="fold")  # the one that gives way: a number that is cut is a wrong number
    table.add_column(justify="right", no_wrap=True, min_width=11)
    table.add_column(style="dim", no_wrap=True, min_width=17)
    table.add_column(style="dim", no_wrap=True, min_width=7)
    for group in groups:
        if len(group.rows) > 1:
            table.add_row(Text.assemble(one_line(group.title), (f", {one_line(group.common)}" if group.common else "", "dim")))
        for row in group.rows:
            table.add_row(_label(group, row), Text(row.value, style="bold"), _plain(row.interval), _plain(f"n {row.n}" if row.interval != "exact" else ""))
    return table


def _label(group: MetricGroup, row: MetricRow) -> Text:
    if len(group.rows) > 1:
        return Text(f"  {one_line(row.distinct)}", style="dim")
    return Text.assemble(one_line(group.title), (f", {one_line(row.conditions)}" if row.conditions else "", "dim"))


def _missing(report: Report) -> Iterator[RenderableType]:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(min_width=20, max_width=28)
    table.add_column()
    for group in sections.missing_groups(report.records):
        failure = group.failure
        advice = f" → {one_line(failure.hint)}" if failure.hint else ""
        metrics = "; ".join(", ".join(filter(None, (metric.title, metric.conditions))) for metric in group.metrics)
        table.add_row(_plain(metrics), Text.assemble((STATUSES[failure.status], "yellow"), f"  {one_line(failure.message)}", (advice, "dim")))
    if table.row_count:
        yield Text("\nMissing metrics", style="bold")
        yield indented(table)


def _overview(report: Report) -> Iterator[RenderableType]:
    """A line for each measured axis, where there are several; then the unmeasured ones, and the time."""
    empty = sections.unmeasured(report)
    measured = [axis for axis in report.axes if axis not in empty]
    if len(measured) > 1:
        yield Text(f"\n{len(measured)} of {len(report.axes)} dimensions", style="bold")
        width = max(len(axis.dimension.title) for axis in measured)
        yield from (indented(axis_line(axis, width, _behind_score(axis))) for axis in measured)
    if empty:
        yield Text.assemble("\n", ("Not measured", "bold"), (f"  {', '.join(axis.dimension.title for axis in empty)}", "dim"))
    if report.seconds:
        yield Text(f"\nMeasured in {formatting.duration(report.seconds)}", style="dim")


def _behind_score(axis: Axis) -> str:
    first = sections.headline(axis)
    return sections.no_score(axis) if axis.score is None else f"{first.value}  {first.title}" if first else ""


def _plain(text: str) -> Text:
    return Text(one_line(text))
