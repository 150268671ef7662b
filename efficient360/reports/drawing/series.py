"""How the series of one chart differ: by colour, by dash and by marker, so that each is known without colour."""

import math
from dataclasses import dataclass
from typing import Final, Literal, final

from efficient360.reports.drawing.marks import Dot, Mark, Paint, Point, Shape
from efficient360.reports.theme import SERIES

Form = Literal["circle", "square", "triangle", "diamond", "cross", "plus", "down"]
FORMS: Final[tuple[Form, ...]] = ("circle", "square", "triangle", "diamond", "cross", "down", "plus")
DASHES: Final[tuple[tuple[float, ...], ...]] = ((), (7.0, 3.0), (2.0, 2.5), (9.0, 3.0, 2.0, 3.0), (4.0, 2.0), (12.0, 4.0), (2.0, 2.0, 7.0, 2.0))


@final
@dataclass(frozen=True)
class Style:
    """One series' colour role, dash and marker."""

    role: str
    dash: tuple[float, ...]
    form: Form


def style(index: int) -> Style:
    """The style of the ``index``-th series of a chart; 42 differ."""
    return Style(SERIES[index % len(SERIES)], DASHES[index % len(DASHES)], FORMS[index % len(FORMS)])


def marker(at: Point, how: Style, size: float = 3.4, tip: str = "", hollow: bool = False) -> Mark:
    """A marker of a series.

    Args:
        at: Its centre.
        how: Colour and form.
        size: Half its width in px.
        tip: What a pointer over it is told.
        hollow: Whether it shows the paper: a value without an interval.
    """
    x, y = at
    paint = Paint(fill="paper", stroke=how.role, width=1.6) if hollow else Paint(fill=how.role, stroke="paper", width=0.8)
    if how.form == "circle":
        return Dot(x, y, size, paint, tip)
    if how.form in ("cross", "plus"):
        r = size if how.form == "cross" else size * math.sqrt(2)
        turn = math.pi / 4 if how.form == "cross" else 0.0
        ends = [(x + r * math.cos(turn + i * math.pi / 2), y + r * math.sin(turn + i * math.pi / 2)) for i in range(4)]
        return Shape(((ends[0], ends[2]), (ends[1], ends[3])), Paint(stroke=how.role, width=2.2), tip=tip)
    corners = {"square": (4, math.pi / 4, 1.25), "diamond": (4, 0.0, 1.3), "triangle": (3, -math.pi / 2, 1.35), "down": (3, math.pi / 2, 1.35)}
    count, turn, grown = corners[how.form]
    angles = [turn + i * 2 * math.pi / count for i in range(count)]
    points = tuple((x + grown * size * math.cos(angle), y + grown * size * math.sin(angle)) for angle in angles)
    return Shape((points,), paint, closed=True, tip=tip)
