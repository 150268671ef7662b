"""Bars: one line each with its name and value, so that long names stay readable; columns without names where there are very many."""

import math
from typing import Final

from efficient360.core.figures import Bars
from efficient360.core.formatting import unitless
from efficient360.reports.drawing import scale, text
from efficient360.reports.drawing.frame import GRID, RULE, TICK, TITLE, WIDTH, Frame, apart, margin
from efficient360.reports.drawing.marks import Box, Drawing, Label, Mark, Paint, Shape

MANY: Final = 40
ROW: Final = 22.0
THICK: Final = 13.0
NAMES: Final = 0.4
"""Share of the width that names take at most."""
FILL: Final = Paint(fill="accent", opacity=0.55)
SPAN: Final = Paint(stroke="ink", width=1.2)


def bars(figure: Bars) -> Drawing:
    """Bars as a drawing; what is not finite is a gap."""
    return _rows(figure) if len(figure.values) <= MANY else _columns(figure)


def _rows(figure: Bars) -> Drawing:
    known = [v for v in (*figure.values, *figure.low, *figure.high) if math.isfinite(v)]
    axis = scale.linear(known, 5, zero=True)
    names = [text.shortened(label, NAMES * WIDTH, TICK) for label in figure.labels]
    values = [_written(v) for v in figure.values]
    left, right = text.widest(names, TICK) + 12, WIDTH - text.widest(values, TICK) - 14
    top, bottom = 4.0, 4 + ROW * max(1, len(names))
    frame = Frame(left, top, right, bottom, axis, scale.unit())
    ticks = [(_across(frame, v), name) for v, name in zip(axis.ticks, axis.labels, strict=True)]
    marks: list[Mark] = [Shape((((x, top), (x, bottom)),), GRID) for x, _ in ticks]
    zero = _across(frame, 0.0)
    for i, (name, value, written) in enumerate(zip(names, figure.values, values, strict=True)):
        y = top + (i + 0.5) * ROW
        label = figure.labels[i]
        marks.append(Label(left - 8, y + 4, name, "ink", TICK, "end", tip=label if name != label else ""))
        marks.append(Label(WIDTH - 4, y + 4, written, "ink", TICK, "end"))
        if math.isfinite(value):
            end = _across(frame, value)
            marks.append(Box(min(zero, end), y - THICK / 2, abs(end - zero), THICK, FILL, _tip(figure, i)))
        if figure.low and math.isfinite(figure.low[i]) and math.isfinite(figure.high[i]):
            low, high = _across(frame, figure.low[i]), _across(frame, figure.high[i])
            marks.append(Shape((((low, y), (high, y)), ((low, y - 3), (low, y + 3)), ((high, y - 3), (high, y + 3))), SPAN))
    marks.append(Shape((((zero, top), (zero, bottom)),), RULE))
    marks += [Label(x, bottom + 14, name, "muted", TICK, "middle") for x, name in apart(ticks, TICK)]
    marks += [Label((left + right) / 2, bottom + 31, text.shortened(figure.y_label, right - left, TITLE), "muted", TITLE, "middle")] if figure.y_label else []
    return Drawing(WIDTH, bottom + (40 if figure.y_label else 22), tuple(marks), _name(figure))


def _columns(figure: Bars) -> Drawing:
    known = [v for v in (*figure.values, *figure.low, *figure.high) if math.isfinite(v)]
    axis = scale.linear(known, 5, zero=True)
    left = margin(axis, figure.y_label)
    frame = Frame(left, 12, WIDTH - 12, 222, scale.Axis(-0.5, len(figure.values) - 0.5, (), ()), axis)
    marks = frame.marks(f"{figure.x_label} ({len(figure.values)})", figure.y_label)
    half = 0.4 * (frame.right - frame.left) / len(figure.values)
    for i, value in enumerate(figure.values):
        foot, top = frame.at(i, 0.0), frame.at(i, value)
        if foot is not None and top is not None:
            marks.append(Box(foot[0] - half, min(foot[1], top[1]), 2 * half, abs(foot[1] - top[1]), FILL, _tip(figure, i)))
        if figure.low:
            low, high = frame.at(i, figure.low[i]), frame.at(i, figure.high[i])
            marks += [Shape(((low, high),), Paint(stroke="ink", width=0.8))] if low and high else []
    return Drawing(WIDTH, 264, tuple(marks), _name(figure))


def _across(frame: Frame, value: float) -> float:
    return frame.left + (frame.x.share(value) or 0.0) * (frame.right - frame.left)


def _tip(figure: Bars, i: int) -> str:
    span = f" ({scale.brief(figure.low[i])} – {scale.brief(figure.high[i])})" if figure.low else ""
    return f"{figure.labels[i]}: {scale.brief(figure.values[i])}{span}"


def _written(value: float) -> str:
    """A value at the end of its line, to three digits."""
    return unitless(value) if math.isfinite(value) else "–"


def _name(figure: Bars) -> str:
    return f"{figure.title}: {figure.y_label} by {figure.x_label}, {len(figure.values)} bars"
