"""The frame of a chart with two axes: grid, ticks that keep clear of one another, axis titles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.reports.drawing import text
from efficient360.reports.drawing.marks import Label, Mark, Paint, Point, Shape
from efficient360.reports.drawing.scale import Axis

WIDTH: Final = 440.0
TICK: Final = 11.0
TITLE: Final = 11.5
GRID: Final = Paint(stroke="grid")
RULE: Final = Paint(stroke="rule")


@final
@dataclass(frozen=True)
class Frame:
    """The plot's rectangle in px and its two axes."""

    left: float
    top: float
    right: float
    bottom: float
    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> Point | None:
        """Where a point lies; ``None`` where it has no place."""
        across, up = self.x.share(x), self.y.share(y)
        return None if across is None or up is None else (self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top))

    def marks(self, x_label: str, y_label: str) -> list[Mark]:
        """Grid, ticks and titles; ticks that would touch their neighbour stay unlabelled."""
        marks: list[Mark] = []
        columns = [(self.left + (self.x.share(v) or 0.0) * (self.right - self.left), name) for v, name in zip(self.x.ticks, self.x.labels, strict=True)]
        rows = [(self.bottom - (self.y.share(v) or 0.0) * (self.bottom - self.top), name) for v, name in zip(self.y.ticks, self.y.labels, strict=True)]
        marks += [Shape((((x, self.top), (x, self.bottom)),), GRID) for x, _ in columns]
        marks += [Shape((((self.left, y), (self.right, y)),), GRID) for y, _ in rows]
        marks.append(Shape((((self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)),), RULE))
        marks += [Label(x, self.bottom + 15, name, "muted", TICK, "middle") for x, name in apart(columns, TICK)]
        marks += [Label(self.left - 6, y + 4, name, "muted", TICK, "end") for y, name in rows]
        return [*marks, *self.titles(x_label, y_label)]

    def titles(self, x_label: str, y_label: str) -> list[Mark]:
        """The axes' titles: below, and upwards at the left edge."""
        middle = (self.left + self.right) / 2
        found: list[Mark] = []
        if x_label:
            room = 2 * min(middle, WIDTH - middle)
            found.append(Label(middle, self.bottom + 34, text.shortened(x_label, room, TITLE), "muted", TITLE, "middle", tip=x_label))
        if y_label:
            name = text.shortened(y_label, self.bottom - self.top + 20, TITLE)
            found.append(Label(12, (self.top + self.bottom) / 2, name, "muted", TITLE, "middle", turned=-90, tip=y_label))
        return found


def margin(axis: Axis, title: str) -> float:
    """Room left of the plot for the vertical axis's ticks and title."""
    return text.widest(axis.labels, TICK) + 10 + (18 if title else 0)


def apart(ticks: Sequence[tuple[float, str]], size: float) -> list[tuple[float, str]]:
    """The ticks whose centred labels keep clear of the last one kept, and within the drawing."""
    kept: list[tuple[float, str]] = []
    end = float("-inf")
    for x, name in ticks:
        half = text.width(name, size) / 2
        if x - half >= max(end + 4, 0) and x + half <= WIDTH:
            kept.append((x, name))
            end = x + half
    return kept
