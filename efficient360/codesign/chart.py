"""Trials in a plane of cost and quality, with the goals as lines, the front, the baselines, and what was confirmed."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.codesign.goal import Goal
from efficient360.codesign.judging import usable
from efficient360.codesign.problem import Measured
from efficient360.codesign.result import SearchResult
from efficient360.codesign.trial import Origin, State, Trial
from efficient360.codesign.view import front_of
from efficient360.codesign.words import candidate_text, is_difference, limit_text, measured_text
from efficient360.core.formatting import is_fraction
from efficient360.core.measurement import BYTE, JOULE, SECOND, Better, Measurement, Metric
from efficient360.reports.drawing import scale, text
from efficient360.reports.drawing.frame import WIDTH, Frame, margin
from efficient360.reports.drawing.legend import Entry, legend
from efficient360.reports.drawing.marks import Box, Dot, Drawing, Label, Mark, Paint, Point, Shape
from efficient360.reports.drawing.series import Style, marker
from efficient360.reports.names import title

HEIGHT: Final = 270.0
_SOLID: Final = ()
OTHER: Final = Style("faint", _SOLID, "circle")
DROPPED: Final = Style("faint", _SOLID, "cross")
ORIGINAL: Final = Style("third", _SOLID, "square")
FRONT: Final = Style("accent", _SOLID, "circle")
BASELINE: Final = Style("second", _SOLID, "diamond")
CONFIRMED: Final = Style("fourth", _SOLID, "triangle")
GOAL: Final = Style("caution", (6.0, 3.0), "circle")
_SIZE: Final = 11.0


@final
@dataclass(frozen=True)
class Panel:
    """A chart and what it leaves out.

    Args:
        drawing: The chart.
        title: What it shows.
        note: How many trials lie outside of it or have no place; empty where all are drawn.
    """

    drawing: Drawing
    title: str
    note: str


def panels(result: SearchResult) -> list[Panel]:
    """A chart of both objectives, and one for every other cost that a goal bounds."""
    cost, quality = result.objectives
    bounded = {goal.metric.name for goal in result.goals}
    others = [metric for metric in result.metrics if metric.name in bounded and metric.name not in (cost.name, quality.name) and not is_fraction(metric)]
    found = [_panel(result, metric, quality) for metric in (cost, *others)]
    return [panel for panel in found if panel is not None]


def unit_of(metric: Metric) -> tuple[float, str]:
    """By what a metric's values are multiplied on an axis, and the unit there."""
    if is_fraction(metric):
        return 100.0, "points" if is_difference(metric) else "%"
    return {SECOND: (1e3, "ms"), BYTE: (1e-6, "MB"), JOULE: (1e3, "mJ")}.get(metric.unit, (1.0, "" if metric.unit == "1" else str(metric.unit)))


def _panel(result: SearchResult, x: Metric, y: Metric) -> Panel | None:
    plane = _plane(result, x, y)
    if plane is None:
        return None
    styles = _styles(result, plane)
    key, above = legend([Entry(name, style, line=style is GOAL, marked=style is not GOAL) for name, style in styles], 8, 2, WIDTH - 16)
    frame = plane.frame(above + 10)
    marks = [*_goal_area(result, plane, frame), *frame.marks(_label(x), _label(y)), *_goal_lines(result, plane, frame)]
    marks += [*_rug(result, plane, frame), *_trials(result, plane, frame), *_front(result, plane, frame), *_baselines(result, plane, frame)]
    marks += _confirmed(result, plane, frame)
    name = f"{title(y.name)} against {title(x.name)} of {len(result.trials)} trials"
    return Panel(Drawing(WIDTH, frame.bottom + 42, (*marks, *key), f"{name}; the numbers are in the tables"), name, plane.note)


def _label(metric: Metric) -> str:
    unit = unit_of(metric)[1]
    return f"{title(metric.name)} ({unit})" if unit else title(metric.name)


@final
@dataclass(frozen=True)
class _Plane:
    """Two metrics, and the part of their plane that is drawn."""

    x: Metric
    y: Metric
    across: scale.Axis
    up: scale.Axis
    note: str

    def frame(self, top: float) -> Frame:
        left = margin(self.up, _label(self.y))
        return Frame(left, top, WIDTH - 14, top + HEIGHT, self.across, self.up)

    def at(self, measured: Measured, frame: Frame) -> Point | None:
        """Where measurements lie; ``None`` outside."""
        point = _values(measured, self.x, self.y)
        if point is None or not (frame.x.low <= point[0] <= frame.x.high and frame.y.low <= point[1] <= frame.y.high):
            return None
        return frame.at(*point)


def _scaled(metric: Metric, value: float) -> float:
    return unit_of(metric)[0] * value


def _values(measured: Measured, x: Metric, y: Metric) -> Point | None:
    a, b = usable(measured, x), usable(measured, y)
    return None if a is None or b is None else (_scaled(x, a.value), _scaled(y, b.value))


def _plane(result: SearchResult, x: Metric, y: Metric) -> _Plane | None:
    """The part in which goals, front, originals, baselines and confirmed candidates lie; far losses are left out."""
    chosen = {*result.front, *result.misses, *(() if result.winner is None else (result.winner,))}
    shown: list[Measured] = [t.measured for t in result.trials if t.number in chosen or (t.origin is Origin.ORIGINAL and t.quality)]
    shown += [confirmed.measured for confirmed in result.confirmed] + [baseline.measured for baseline in result.baselines]
    points = [point for measured in shown if (point := _values(measured, x, y)) is not None]
    if not points:
        return None
    limits = {goal.metric.name: _scaled(goal.metric, goal.limit) for goal in result.goals}
    rows = [p[1] for p in points]
    if y.name in limits:
        near = [v for v in rows if abs(v) <= 6 * max(abs(limits[y.name]), 1.0)] or rows
        rows = [*near, limits[y.name], 2.5 * limits[y.name]] if y.better is Better.LOWER else [*near, limits[y.name]]
    ends = [_scaled(y, end) for m in shown if (j := usable(m, y)) is not None and j.interval is not None for end in (j.interval.low, j.interval.high)]
    rows += [end for end in ends if min(rows) - 1 <= end <= max(rows)]
    columns = [p[0] for p in points] + ([limits[x.name]] if x.name in limits else [])
    across = scale.logarithmic(columns) if min(columns) > 0 and max(columns) > 1.5 * min(columns) else scale.linear(columns)
    up = scale.linear(rows)
    judged = [point for trial in result.trials if (point := _values(trial.measured, x, y)) is not None]
    outside = sum(not (across.low <= a <= across.high and up.low <= b <= up.high) for a, b in judged)
    failed = sum(trial.state is State.FAILED for trial in result.trials)
    unjudged = sum(trial.state is State.DROPPED and not trial.quality for trial in result.trials)
    told = [f"{outside} outside of the chart"] * bool(outside)
    told += [f"{unjudged} without a judged quality: ticks at the bottom"] * bool(unjudged) + [f"{failed} failed"] * bool(failed)
    return _Plane(x, y, across, up, "Not drawn as points: " + "; ".join(told) + "." if told else "")


def _styles(result: SearchResult, plane: _Plane) -> list[tuple[str, Style]]:
    states = [trial.state for trial in result.trials if trial.quality]
    found = [("goal", GOAL), ("front", FRONT)]
    found += [("original", ORIGINAL)] if any(trial.origin is Origin.ORIGINAL and trial.quality for trial in result.trials) else []
    found += [("judged in full", OTHER)] if State.COMPLETE in states else []
    found += [("dropped", DROPPED)] if State.DROPPED in states else []
    found += [("baseline, measured again", BASELINE)] if any(_values(b.measured, plane.x, plane.y) for b in result.baselines) else []
    return found + ([("candidate, measured again", CONFIRMED)] if any(_values(c.measured, plane.x, plane.y) for c in result.confirmed) else [])


def _bounds(result: SearchResult, metric: Metric) -> Goal | None:
    return next((goal for goal in result.goals if goal.metric.name == metric.name), None)


def _span(goal: Goal | None, metric: Metric, axis: scale.Axis) -> tuple[float, float]:
    """The part of an axis that meets a goal, all of it without one, as shares."""
    limit = None if goal is None else axis.share(_scaled(metric, goal.limit))
    if limit is None:
        return 0.0, 1.0
    clipped = min(1.0, max(0.0, limit))
    return (0.0, clipped) if metric.better is Better.LOWER else (clipped, 1.0)


def _goal_area(result: SearchResult, plane: _Plane, frame: Frame) -> list[Mark]:
    left, right = _span(_bounds(result, plane.x), plane.x, frame.x)
    low, high = _span(_bounds(result, plane.y), plane.y, frame.y)
    width, height = frame.right - frame.left, frame.bottom - frame.top
    box = Box(frame.left + left * width, frame.bottom - high * height, (right - left) * width, (high - low) * height, Paint(fill="heat"))
    return [box] if box.width > 0 and box.height > 0 else []


def _goal_lines(result: SearchResult, plane: _Plane, frame: Frame) -> list[Mark]:
    marks: list[Mark] = []
    paint = Paint(stroke=GOAL.role, width=1.4, dash=GOAL.dash)
    if (goal := _bounds(result, plane.x)) is not None and (share := frame.x.share(_scaled(plane.x, goal.limit))) is not None:
        x = frame.left + share * (frame.right - frame.left)
        name = _limit(goal)
        right = x + 4 + text.width(name, _SIZE) <= frame.right
        marks += [Shape((((x, frame.top), (x, frame.bottom)),), paint)]
        marks.append(Label(x + (4 if right else -4), frame.top + 12, name, GOAL.role, _SIZE, "start" if right else "end"))
    if (goal := _bounds(result, plane.y)) is not None and (share := frame.y.share(_scaled(plane.y, goal.limit))) is not None:
        y = frame.bottom - share * (frame.bottom - frame.top)
        marks += [Shape((((frame.left, y), (frame.right, y)),), paint)]
        marks.append(Label(frame.right - 4, y - 4, _limit(goal), GOAL.role, _SIZE, "end"))
    return marks


def _limit(goal: Goal) -> str:
    return f"{'≤' if goal.metric.better is Better.LOWER else '≥'} {limit_text(goal.metric, goal.limit)}"


def _tip(trial: Trial, result: SearchResult, plane: _Plane) -> str:
    told = [f"Trial {trial.number + 1}: {candidate_text(trial.candidate, result.knobs)}"]
    told += [f"{title(m.name)} {measured_text(trial.measured, m)}" for m in (plane.x, plane.y)]
    return "; ".join([*told, trial.reason] if trial.reason else told)


def _rug(result: SearchResult, plane: _Plane, frame: Frame) -> list[Mark]:
    marks: list[Mark] = []
    for trial in result.trials:
        measured = usable(trial.cost, plane.x)
        if trial.quality or measured is None or not frame.x.low <= (value := _scaled(plane.x, measured.value)) <= frame.x.high:
            continue
        x = frame.left + (frame.x.share(value) or 0.0) * (frame.right - frame.left)
        marks.append(Shape((((x, frame.bottom), (x, frame.bottom - 7)),), Paint(stroke="faint", width=1.2), tip=_tip(trial, result, plane)))
    return marks


def _trials(result: SearchResult, plane: _Plane, frame: Frame) -> list[Mark]:
    marks: list[Mark] = []
    for trial in result.trials:
        if trial.number in result.front or not trial.quality or (at := plane.at(trial.measured, frame)) is None:
            continue
        style = ORIGINAL if trial.origin is Origin.ORIGINAL else OTHER if trial.state is State.COMPLETE else DROPPED
        marks.append(marker(at, style, 3.4 if style is ORIGINAL else 2.6, _tip(trial, result, plane), hollow=style is OTHER))
    return marks


def _front(result: SearchResult, plane: _Plane, frame: Frame) -> list[Mark]:
    """The trials that none beats in this plane: those of the result's front that stand on it here, too."""
    on_front = [trial for trial in result.trials if trial.number in result.front]
    line = front_of(on_front, plane.x, plane.y)
    drawn = [(trial, at) for trial in line if (at := plane.at(trial.measured, frame)) is not None]
    marks: list[Mark] = [Shape((tuple(_stairs([at for _, at in drawn])),), Paint(stroke=FRONT.role, width=1.6))] if len(drawn) > 1 else []
    for trial in on_front:
        if (at := plane.at(trial.measured, frame)) is None:
            continue
        marks += _bar(usable(trial.measured, plane.y), plane.y, at[0], frame, FRONT.role)
        marks.append(marker(at, FRONT if trial.origin is not Origin.ORIGINAL else ORIGINAL, 3.8, _tip(trial, result, plane)))
    return marks


def _stairs(points: Sequence[Point]) -> Iterable[Point]:
    """The edge of what points dominate: across to the next one's place, then down to it."""
    yield points[0]
    for (_, y), (x, to) in itertools.pairwise(points):
        yield x, y
        yield x, to


def _bar(measured: Measurement | None, metric: Metric, x: float, frame: Frame, role: str) -> list[Mark]:
    if measured is None or measured.interval is None:
        return []
    shares = [frame.y.share(_scaled(metric, end)) for end in (measured.interval.low, measured.interval.high)]
    low, high = (frame.bottom - min(1.0, max(0.0, share or 0.0)) * (frame.bottom - frame.top) for share in shares)
    return [Shape((((x, low), (x, high)),), Paint(stroke=role, width=1.1, opacity=0.7))]


def _baselines(result: SearchResult, plane: _Plane, frame: Frame) -> list[Mark]:
    marks: list[Mark] = []
    for baseline in result.baselines:
        if (at := plane.at(baseline.measured, frame)) is not None:
            told = "; ".join(f"{title(m.name)} {measured_text(baseline.measured, m)}" for m in (plane.x, plane.y))
            marks.append(marker(at, BASELINE, 4.2, f"{baseline.name}, measured again: {told}"))
    return marks


def _confirmed(result: SearchResult, plane: _Plane, frame: Frame) -> list[Mark]:
    marks: list[Mark] = []
    taken: list[Point] = []
    numbers = {trial.candidate: trial.number for trial in result.trials}
    for confirmed in result.confirmed:
        at = plane.at(confirmed.measured, frame)
        if at is None:
            continue
        number = numbers.get(confirmed.candidate, -1)
        told = "; ".join(f"{title(m.name)} {measured_text(confirmed.measured, m)}" for m in (plane.x, plane.y))
        marks += _bar(usable(confirmed.measured, plane.y), plane.y, at[0], frame, CONFIRMED.role)
        marks.append(marker(at, CONFIRMED, 4.6, f"Trial {number + 1}, measured again: {told}"))
        if number == result.winner:
            marks.append(Dot(*at, 9.0, Paint(stroke=CONFIRMED.role, width=1.6)))
        name = "chosen" if number == result.winner else f"miss {result.misses.index(number) + 1}" if number in result.misses else ""
        if name:
            right = at[0] + 12 + text.width(name, _SIZE, bold=True) <= frame.right
            x, y = at[0] + (12 if right else -12), at[1] + 4
            while any(abs(x - a) < 60 and abs(y - b) < _SIZE for a, b in taken):
                y -= _SIZE + 1
            taken.append((x, y))
            marks.append(Label(x, y, name, CONFIRMED.role, _SIZE, "start" if right else "end", bold=True))
    return marks
