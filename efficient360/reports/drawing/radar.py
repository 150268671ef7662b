"""The radar as a drawing: axes clockwise from 12 o'clock, scores with their intervals, missing scores as gaps, never as zeros."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.reports.drawing import legend as legends
from efficient360.reports.drawing import text
from efficient360.reports.drawing.marks import Anchor, Dot, Drawing, Label, Mark, Paint, Point, Shape
from efficient360.reports.drawing.series import Style, marker, style
from efficient360.reports.radar import RINGS, missing, neighbours
from efficient360.reports.report import Axis
from efficient360.reports.score_interval import score_interval

HOLE: Final = 0.09
"""Where a score of 0 lies, as a share of the radius: its point is on its own axis, and nobody takes it for a missing one."""
UPRIGHT: Final = 0.2
"""Sine of the angle to the vertical up to which an axis's label is centred."""
SPREAD: Final = 0.022
"""Radians between the intervals of two runs on one axis."""


@final
@dataclass(frozen=True)
class RadarSize:
    """The size of a radar in px.

    Args:
        width: Of the drawing.
        radius: From the centre to the rim.
        text: Font size.
        title: Room for one line of an axis's title.
    """

    width: float
    radius: float
    text: float
    title: float


WIDE: Final = RadarSize(560, 170, 12, 120)
NARROW: Final = RadarSize(358, 92, 10.5, 90)


@final
@dataclass(frozen=True)
class RadarRun:
    """One run on a radar.

    Args:
        name: What the legend calls it.
        axes: Its axes in radar order; those of several runs are the same dimensions.
    """

    name: str
    axes: Sequence[Axis]


def radar(run: RadarRun, size: RadarSize = WIDE) -> Drawing:
    """One run: the area of its scores, the band between the ends of their intervals, each axis labelled with its score or why it has none.

    A hollow point is a score without an interval: a summary metric of it is uncertain, and nobody knows how much.
    """
    stage = _Stage(size, len(run.axes))
    scores = [axis.score for axis in run.axes]
    how = style(0)
    areas = Shape(tuple(stage.fan(scores, stretch) for stretch in neighbours(scores)), Paint(fill=how.role, opacity=0.1), closed=True)
    marks = [*stage.grid(), areas, *_bands(stage, run, how), *_outline(stage, run, how), *stage.rings()]
    labels = [mark for i, axis in enumerate(run.axes) for mark in stage.title(i, axis.dimension.title, axis.score_text, missing(axis))]
    told = "; ".join(f"{axis.dimension.title} {axis.score_text or missing(axis)}" for axis in run.axes)
    return Drawing(size.width, stage.height, (*marks, *labels), f"Radar of {run.name}, scores from 0 to 1: {told}")


def overlay(runs: Sequence[RadarRun], size: RadarSize = WIDE) -> Drawing:
    """Several runs over the same dimensions: unfilled lines that differ by colour, dash and marker, with a legend below.

    Each score's interval is a thin line along its axis. An axis that no run has is grey; where all fit, axes name the runs' scores in order.
    """
    titles = list(dict.fromkeys(axis.dimension.title for run in runs for axis in run.axes))
    lined = [RadarRun(run.name, _in_order(run.axes, titles)) for run in runs]
    stage = _Stage(size, len(titles))
    marks = [*stage.grid(), *stage.rings()]
    for index, run in enumerate(lined):
        marks += _whiskers(stage, run, style(index), (index - (len(lined) - 1) / 2) * SPREAD)
    for index, run in enumerate(lined):
        marks += _outline(stage, run, style(index))
    found = [[next((a for a in run.axes if a.dimension.title == title), None) for run in runs] for title in titles]
    told = [_scores(axes) for axes in found]
    fit = all(text.width(line, size.text, bold=True) <= stage.room(i) for i, line in enumerate(told))
    for i, (title, axes) in enumerate(zip(titles, found, strict=True)):
        marks += stage.title(i, title, told[i] if fit or not told[i] else " ", _why_none(axes))
    key, below = legends.legend([legends.Entry(run.name, style(i)) for i, run in enumerate(lined)], 8, stage.height, size.width - 16)
    said = "; ".join(f"{run.name}: " + ", ".join(f"{a.dimension.title} {a.score_text or missing(a)}" for a in run.axes) for run in runs)
    return Drawing(size.width, stage.height + below + 6, (*marks, *key), f"Radar of {len(runs)} runs, scores from 0 to 1. {said}")


def _in_order(axes: Sequence[Axis], titles: Sequence[str]) -> list[Axis]:
    by_title = {axis.dimension.title: axis for axis in axes}
    return [by_title[title] for title in titles if title in by_title]


def _scores(axes: Sequence[Axis | None]) -> str:
    """The runs' scores in order; empty where none has one."""
    told = [axis.score_text if axis is not None and axis.score is not None else "–" for axis in axes]
    return " · ".join(told) if any(text != "–" for text in told) else ""


def _why_none(axes: Sequence[Axis | None]) -> str:
    reasons = {missing(axis) for axis in axes if axis is not None}
    return reasons.pop() if len(reasons) == 1 else "no score"


@final
class _Stage:
    """Positions on a radar of one size and number of axes, and what is there before any run."""

    def __init__(self, size: RadarSize, count: int) -> None:
        self._size, self._count = size, max(1, count)
        self._line = size.text * text.LINE_HEIGHT
        self._centre = (size.width / 2, size.radius + 3.6 * self._line)
        self.height = self._centre[1] + size.radius + 3.4 * self._line

    def at(self, score: float, index: int, aside: float = 0.0) -> Point:
        """Where a score in [0, 1] lies on an axis; ``aside`` is an angle in radians."""
        return self._polar(HOLE + (1 - HOLE) * score, 2 * math.pi * index / self._count + aside)

    def _polar(self, share: float, angle: float) -> Point:
        return self._centre[0] + self._size.radius * share * math.sin(angle), self._centre[1] - self._size.radius * share * math.cos(angle)

    def fan(self, scores: Sequence[float | None], stretch: Sequence[int]) -> tuple[Point, ...]:
        """The area under a stretch of axes with a score: the whole polygon, or a fan from the centre."""
        corners = [self.at(scores[i] or 0.0, i) for i in stretch]
        return tuple(corners if len(stretch) == len(scores) > 2 else [self._centre, *corners])

    def grid(self) -> list[Mark]:
        """Rings and spokes."""
        x, y = self._centre
        circles: list[Mark] = [Dot(x, y, self._size.radius * (HOLE + (1 - HOLE) * ring), Paint(stroke="rule" if ring == 1 else "grid")) for ring in RINGS]
        circles.append(Dot(x, y, self._size.radius * HOLE, Paint(stroke="rule", dash=(2, 2))))
        return [*circles, *(Shape(((self.at(0, i), self.at(1, i)),), Paint(stroke="grid")) for i in range(self._count))]

    def rings(self) -> list[Mark]:
        """What the rings stand for, between two axes."""
        angle = math.pi / self._count
        marks: list[Mark] = []
        for score, name in ((0.0, "0"), (0.5, "½"), (1.0, "1")):
            x, y = self._polar(HOLE + (1 - HOLE) * score, angle)
            marks.append(Label(x, y + 4, name, "faint", self._size.text - 2, "middle"))
        return marks

    def room(self, index: int) -> float:
        """Px for one line of an axis's label."""
        angle = 2 * math.pi * index / self._count
        x, side = self._polar(1.0, angle)[0], math.sin(angle)
        beside = (self._size.width - x if side > 0 else x) - 9 * abs(side) - 2
        return self._size.title if abs(side) < UPRIGHT else min(self._size.title, beside)

    def title(self, index: int, title: str, score: str, reason: str) -> list[Mark]:
        """An axis's title over its score, or in grey over the reason why it has none, clear of the rim."""
        angle = 2 * math.pi * index / self._count
        x, y = self._polar(1.0, angle)
        side, up = math.sin(angle), math.cos(angle)
        anchor: Anchor = "middle" if abs(side) < UPRIGHT else "start" if side > 0 else "end"
        x += 9 * side
        room = self.room(index)
        lines = text.wrapped(title, room, self._size.text, 2)
        count = len(lines) + 1
        # The block's middle moves outwards: its lower edge touches the rim at 12 o'clock, its upper edge at 6.
        first = y - 9 * up - (0.5 + 0.5 * up) * count * self._line + 0.78 * self._size.text
        role, size = ("ink" if score else "faint"), self._size.text
        marks: list[Mark] = [Label(x, first + i * self._line, line, role, size, anchor, tip="" if line in title else title) for i, line in enumerate(lines)]
        last = text.shortened(score or reason, room, size, bold=bool(score))
        marks.append(Label(x, first + len(lines) * self._line, last, role, size, anchor, bold=bool(score), italic=not score, tip=score or reason))
        return marks


def _outline(stage: _Stage, run: RadarRun, how: Style) -> list[Mark]:
    """The line through neighbouring scores, and a marker at each."""
    scores = [axis.score for axis in run.axes]
    lines: list[tuple[Point, ...]] = []
    for stretch in neighbours(scores):
        corners = [stage.at(scores[i] or 0.0, i) for i in stretch]
        closed = len(stretch) == len(scores) > 2
        lines.append(tuple([*corners, corners[0]] if closed else corners if len(corners) > 1 else [stage.at(0, stretch[0]), *corners]))
    marks: list[Mark] = [Shape(tuple(lines), Paint(stroke=how.role, width=2, dash=how.dash))] if lines else []
    for i, axis in enumerate(run.axes):
        if axis.score is not None:
            sure = score_interval(axis)
            marks.append(marker(stage.at(axis.score, i), how, 4.2, _tip(run.name, axis), hollow=sure is None))
    return marks


def _tip(name: str, axis: Axis) -> str:
    sure = score_interval(axis)
    span = "no interval" if sure is None else "exact" if sure.low == sure.high and _exact(axis) else f"interval {sure.text}"
    return f"{axis.dimension.title}, {name}: {axis.score_text} ({span}). {axis.dimension.question}" + (f" {axis.bound_text}" if axis.bound_text else "")


def _exact(axis: Axis) -> bool:
    return all(part.measurement is not None and part.measurement.exact for part in axis.parts)


def _whiskers(stage: _Stage, run: RadarRun, how: Style, aside: float) -> list[Mark]:
    spans = [(i, sure) for i, axis in enumerate(run.axes) if (sure := score_interval(axis)) is not None and sure.high > sure.low]
    lines = tuple((stage.at(sure.low, i, aside), stage.at(sure.high, i, aside)) for i, sure in spans)
    return [Shape(lines, Paint(stroke=how.role, width=4, opacity=0.35))] if lines else []


def _bands(stage: _Stage, run: RadarRun, how: Style) -> list[Mark]:
    """Between neighbouring axes that both have an interval, the area between its ends; along each axis a line from end to end."""
    sure = [score_interval(axis) for axis in run.axes]
    count = len(sure)
    areas: list[tuple[Point, ...]] = []
    for i, here in enumerate(sure):
        j = (i + 1) % count
        there = sure[j]
        if here is not None and there is not None and i != j:
            areas.append((stage.at(here.low, i), stage.at(there.low, j), stage.at(there.high, j), stage.at(here.high, i)))
    band: list[Mark] = [Shape(tuple(areas), Paint(fill=how.role, opacity=0.22), closed=True)] if areas else []
    return [*band, *_whiskers(stage, run, how, 0.0)]
