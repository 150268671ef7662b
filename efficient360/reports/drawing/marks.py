"""A picture as plain marks with colours by role: one layout, written as SVG for pages and through matplotlib as PDF and PNG.

Coordinates are in px of a 96-dpi page, from the top left corner, y downwards.
"""

from dataclasses import dataclass
from typing import Literal, final

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]


@final
@dataclass(frozen=True)
class Paint:
    """How a shape is painted.

    Args:
        fill: Role of the fill's colour in a theme; empty for none.
        stroke: Role of the line's colour; empty for none.
        width: Line width in px.
        dash: Lengths of dashes and gaps in px; empty for a solid line.
        opacity: In [0, 1], of fill and line.
    """

    fill: str = ""
    stroke: str = ""
    width: float = 1.0
    dash: tuple[float, ...] = ()
    opacity: float = 1.0


@final
@dataclass(frozen=True)
class Shape:
    """Lines through points, each line on its own; closed ones are areas.

    Args:
        lines: The lines' points.
        paint: Fill and stroke.
        closed: Whether each line ends where it began.
        tip: What a pointer over it is told; empty for nothing.
    """

    lines: tuple[tuple[Point, ...], ...]
    paint: Paint
    closed: bool = False
    tip: str = ""


@final
@dataclass(frozen=True)
class Box:
    """An upright rectangle, its corner ``(x, y)`` at the top left."""

    x: float
    y: float
    width: float
    height: float
    paint: Paint
    tip: str = ""


@final
@dataclass(frozen=True)
class Dot:
    """A circle."""

    x: float
    y: float
    radius: float
    paint: Paint
    tip: str = ""


@final
@dataclass(frozen=True)
class Label:
    """One line of text, ``(x, y)`` on its baseline.

    Args:
        x: Position of the anchor.
        y: Position of the baseline.
        text: Any text; writers escape it.
        role: Role of its colour.
        size: Font size in px.
        anchor: Which end of the text stands at ``x``.
        bold: Whether it is bold.
        italic: Whether it is italic.
        turned: Degrees clockwise about ``(x, y)``.
        tip: What a pointer over it is told, such as the whole of a shortened name.
    """

    x: float
    y: float
    text: str
    role: str = "ink"
    size: float = 12.0
    anchor: Anchor = "start"
    bold: bool = False
    italic: bool = False
    turned: float = 0.0
    tip: str = ""


Mark = Shape | Box | Dot | Label


@final
@dataclass(frozen=True)
class Drawing:
    """A picture.

    Args:
        width: In px.
        height: In px.
        marks: From back to front.
        name: What it shows, in a sentence, for readers who don't see it.
    """

    width: float
    height: float
    marks: tuple[Mark, ...]
    name: str
