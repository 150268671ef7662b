"""The share card: one picture of 1200 × 630 px beside the page, with name, verdict, radar and five numbers."""

from pathlib import Path
from typing import Final

from efficient360.core.formatting import counted, listed
from efficient360.reports.alerts import Severity
from efficient360.reports.drawing import files, text
from efficient360.reports.drawing.marks import Box, Drawing, Label, Mark, Paint
from efficient360.reports.drawing.move import moved
from efficient360.reports.drawing.radar import RadarRun, RadarSize, radar
from efficient360.reports.html import CARD, facts
from efficient360.reports.report import Report
from efficient360.reports.sections import headlines
from efficient360.reports.verdict import Verdict, verdict

WIDTH, HEIGHT = 1200, 630
LEFT, EDGE = 56.0, 648.0
"""Where the text begins, and where the radar does."""
NUMBERS: Final = 5
SIZE: Final = RadarSize(552, 168, 12.5, 120)


def card(report: Report) -> Drawing:
    """A run as a share card. A void or missing value is not on it."""
    found = verdict(report)
    room = EDGE - LEFT - 24
    marks: list[Mark] = [Box(0, 0, WIDTH, HEIGHT, Paint(fill="paper")), Box(0, 0, 10, HEIGHT, Paint(fill="accent"))]
    marks.append(Label(LEFT, 76, "EFFICIENT360", "accent", 18, bold=True))
    y = 132.0
    for line in text.wrapped(found.name, room, 42, 2, bold=True):
        marks.append(Label(LEFT, y, line, "ink", 42, bold=True))
        y += 50
    for line in text.wrapped(" · ".join(facts(report)), room, 17, 2):
        marks.append(Label(LEFT, y - 8, line, "muted", 17))
        y += 23
    y += 24
    # A percent sign stays with its number.
    for line in text.wrapped(found.text.replace(" %", "\N{NO-BREAK SPACE}%"), room, 18, 10):
        marks.append(Label(LEFT, y, line, "ink", 18))
        y += 27
    marks += [Label(LEFT, y + 8, line, "caution", 15, bold=True) for line in _doubts(report, found)]
    marks += _numbers(report, room)
    drawn = radar(RadarRun(found.name, report.axes), SIZE)
    marks += moved(drawn.marks, EDGE, (HEIGHT - drawn.height) / 2)
    return Drawing(WIDTH, HEIGHT, tuple(marks), f"{found.name}: {found.text}")


def save_card(report: Report, folder: Path) -> Path:
    """Write ``card.png`` into a run's folder.

    Raises:
        RunError: The folder can't be written.
    """
    return files.save(card(report), folder / CARD, sharpness=1)


def _doubts(report: Report, found: Verdict) -> list[str]:
    """What a reader of the card must know to exist, on one line; empty without any."""
    critical, warned = (sum(alert.severity is severity for alert in found.alerts) for severity in (Severity.CRITICAL, Severity.WARNING))
    told = [counted(n, what) for n, what in ((critical, "critical alert"), (warned, "warning")) if n]
    parts = ["incomplete run"] if report.state == "incomplete" else []
    parts += [f"{listed(told)} in the report"] if told else []
    return [" · ".join(parts)] if parts else []


def _numbers(report: Report, room: float) -> list[Mark]:
    """The first summary metrics that have a value, side by side at the lower edge."""
    shown = headlines(report)[:NUMBERS]
    step = room / NUMBERS
    marks: list[Mark] = []
    for i, number in enumerate(shown):
        x = LEFT + i * step
        marks.append(Label(x, 566, text.shortened(number.value, step - 6, 16, bold=True), "ink", 16, bold=True))
        marks += [Label(x, 588 + 17 * n, line, "muted", 13) for n, line in enumerate(text.wrapped(number.title, step - 8, 13, 2))]
    return marks
