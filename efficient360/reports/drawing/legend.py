"""A legend: the sample of each series beside its name, in rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.reports.drawing import text
from efficient360.reports.drawing.marks import Label, Mark, Paint, Shape
from efficient360.reports.drawing.series import Style, marker

SIZE: Final = 11.5
ROW: Final = 18.0
_SAMPLE: Final = 26.0
_GAP: Final = 6.0
_APART: Final = 16.0


@final
@dataclass(frozen=True)
class Entry:
    """One series: its name and style, and what its sample shows."""

    name: str
    style: Style
    line: bool = True
    marked: bool = True


def legend(entries: Sequence[Entry], left: float, top: float, room: float) -> tuple[list[Mark], float]:
    """The legend's marks and its height in px.

    Args:
        entries: In the order of the series; those without a name are left out.
        left: Left edge.
        top: Upper edge.
        room: Width.
    """
    marks: list[Mark] = []
    x, y = left, top + ROW / 2
    named = [entry for entry in entries if entry.name]
    for entry in named:
        name = text.shortened(entry.name, room - _SAMPLE - _GAP, SIZE)
        across = _SAMPLE + _GAP + text.width(name, SIZE)
        if x > left and x + across > left + room:
            x, y = left, y + ROW
        if entry.line:
            marks.append(Shape((((x, y), (x + _SAMPLE, y)),), Paint(stroke=entry.style.role, width=2 if entry.marked else 1.2, dash=entry.style.dash)))
        if entry.marked:
            marks.append(marker((x + _SAMPLE / 2, y), entry.style))
        marks.append(Label(x + _SAMPLE + _GAP, y + 4, name, size=SIZE, tip=entry.name if name != entry.name else ""))
        x += across + _APART
    return marks, (y + ROW / 2 - top if named else 0.0)
