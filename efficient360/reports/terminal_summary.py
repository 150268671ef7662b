"""What a run comes to, in the terminal: the verdict first, then alerts and a line for each axis, on at most 40 lines of 80 columns; and a few lines of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.text import Text

from efficient360.core import formatting
from efficient360.core.terminal import plain
from efficient360.core.text import one_line
from efficient360.reports.alerts import Alert, Severity, warnings
from efficient360.reports.axis_scores import AxisScore, axis_scores
from efficient360.reports.folder import PAGE
from efficient360.reports.report import Report
from efficient360.reports.sections import MissingMetric, missing_metrics
from efficient360.reports.terminal_lines import axis_line, heading, indented, unfinished
from efficient360.reports.verdict import Verdict, verdict

LINES: Final = 40
"""Most lines that a run's result takes in :data:`WIDTH` columns."""
WIDTH: Final = 80
_SAID: Final = 800
"""Most characters of the verdict; ten lines."""
_NAMED: Final = 70
_ALERTS: Final = 4
_ALERT: Final = 145
"""Most characters of an alert with its severity: two lines."""
_AXES: Final = 13
_STYLES: Final = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def summary(report: Report, folder: Path | None = None) -> RenderableType:
    """The verdict, the severest alerts, a line for each axis, and where the rest is. Text from checkpoints and data sets is never interpreted as markup.

    Args:
        report: The run's report.
        folder: The run's folder, named when given.
    """
    said = verdict(report)
    fewer = (Stack(*_blocks(report, said, folder, alerts)) for alerts in range(_ALERTS, 0, -1))
    return next((shown for shown in fewer if len(plain(shown, WIDTH).splitlines()) <= LINES), Stack(*_blocks(report, said, folder, 0)))


def brief(report: Report, folder: Path | None = None) -> RenderableType:
    """The verdict, how many alerts there are, and where the report is: about eight lines."""
    said = verdict(report)
    place = [_place(folder, "")] if folder is not None else []
    return Stack(*_head(report), *_verdict(said), *_alert_counts(said.alerts), *place)


def _blocks(report: Report, said: Verdict, folder: Path | None, alerts: int) -> Iterator[RenderableType]:
    yield from _head(report)
    yield from _verdict(said)
    yield from _alert_counts(said.alerts)
    shown = warnings(said.alerts)[:alerts]
    yield from (indented(_alert(alert)) for alert in shown)
    if len(said.alerts) > len(shown) > 0:
        yield indented(Text(f"and {len(said.alerts) - len(shown)} more in the report", style="dim"))
    yield from _axes(axis_scores(report))
    missing = missing_metrics(report.records)
    if missing:
        yield Text(f"\n{_missing(missing)}", style="dim")
    if report.seconds:
        yield Text(f"{'' if missing else chr(10)}Measured in {formatting.duration(report.seconds)}", style="dim")
    if folder is not None:
        yield _place(folder, f"every metric here: efficient360 report {folder} --all")


def _head(report: Report) -> Iterator[RenderableType]:
    yield from heading(report, _NAMED)
    yield from unfinished(report)


def _verdict(said: Verdict) -> Iterator[RenderableType]:
    yield Text.assemble("\n", (one_line(said.text, _SAID), "bold"))


def _alert_counts(alerts: Sequence[Alert]) -> Iterator[RenderableType]:
    counts = [(severity, sum(alert.severity is severity for alert in alerts)) for severity in Severity]
    told = [(f"{n} critical" if severity is Severity.CRITICAL else formatting.counted(n, severity), _STYLES[severity]) for severity, n in counts if n]
    if told:
        joined = [part for entry in told for part in (entry, ", ")][:-1]
        yield Text.assemble("\n", ("Alerts: ", "bold"), *joined)


def _alert(alert: Alert) -> Text:
    room = _ALERT - len(alert.severity) - 2
    text = Text.assemble((f"{alert.severity}: ", _STYLES[alert.severity]), one_line(alert.message, room))
    advice = f" → {one_line(alert.advice)}" if alert.advice else ""
    return text.append(advice, style="dim") if len(text) + len(advice) <= _ALERT else text


def _axes(scores: Sequence[AxisScore]) -> Iterator[RenderableType]:
    measured = [score for score in scores if score.axis.coverage > 0 or score.axis.score is not None or score.axis.void]
    rest = [score for score in scores if score not in measured]
    if measured:
        scored = sum(score.axis.score is not None for score in scores)
        yield Text(f"\n{scored} of {len(scores)} axes scored, from 0 to 1 (best)", style="bold")
        width = max(len(score.axis.dimension.title) for score in measured)
        yield from (indented(_axis(score, width)) for score in measured[:_AXES])
    further = len(measured) - _AXES
    marks = dict.fromkeys(f"{score.axis.score_text.strip('0123456789. ')} {score.axis.bound}" for score in measured if score.axis.bound)
    told = [f"{', '.join(marks)}, as the report says"] if marks else []
    told += [f"{further} more in the report"] if further > 0 else []
    told += [f"not measured: {', '.join(one_line(score.axis.dimension.title) for score in rest)}"] if rest else []
    if told:
        yield indented(Text(one_line("; ".join(told), 2 * (WIDTH - 4)), style="dim"))


def _axis(score: AxisScore, width: int) -> Text:
    first = next((metric for metric in score.metrics if metric.value), None)
    told = score.reason or (f"{first.value}  {first.title}" if first is not None else "")
    return axis_line(score.axis, width, told)


def _missing(missing: Sequence[MissingMetric]) -> str:
    """How many metrics are missing, and the reason that most of them have."""
    reasons = Counter(one_line(entry.failure.message) for entry in missing)
    reason, times = reasons.most_common(1)[0]
    counted = f"{len(missing)} metrics missing" if len(missing) > 1 else "1 metric missing"
    more = f"; {len(reasons) - 1} more reasons in the report" if len(reasons) > 2 else "; the other reason is in the report" if len(reasons) == 2 else ""
    return f"{counted}{f', {times} of them' if len(reasons) > 1 else ''}: {one_line(reason, 150 - len(more))}{more}"


def _place(folder: Path, more: str) -> Text:
    return Text.assemble("\n", (str(folder / PAGE), "bold"), (f"\n  {more}" if more else "", "dim"))
