"""Heat maps: cells between two colours, each with its value in the text colour that stands out in either theme."""

import math
from typing import Final

from efficient360.core.figures import Heatmap
from efficient360.core.formatting import MINUS
from efficient360.reports.drawing import scale, text
from efficient360.reports.drawing.contrast import text_role
from efficient360.reports.drawing.frame import TICK, TITLE, WIDTH
from efficient360.reports.drawing.marks import Box, Drawing, Label, Mark, Paint

ROW: Final = 24.0
GAP: Final = 2.0
NAMES: Final = 0.36
LONGEST: Final = 96.0
"""Px of a column's name that stands upright."""


def heatmap(figure: Heatmap) -> Drawing:
    """A heat map as a drawing; cells without a finite value stay empty, values that don't fit their cells are told by a pointer and the scale beside."""
    names = [text.shortened(row, NAMES * WIDTH, TICK) for row in figure.rows]
    left = text.widest(names, TICK) + (30 if figure.y_label else 12)
    across = (WIDTH - left - 4) / max(1, len(figure.columns))
    low, high = _ends(figure)
    fractions = max(abs(low), abs(high)) <= 1
    written = [[_written(v, fractions) for v in row] for row in figure.values]
    fits = text.widest([cell for row in written for cell in row], TICK) <= across - GAP - 4
    top = 4.0 if fits else 34.0
    bottom = top + ROW * len(names)
    marks: list[Mark] = [] if fits else _scale(low, high)
    for r, row in enumerate(figure.values):
        y = top + r * ROW
        marks.append(Label(left - 8, y + ROW / 2 + 4, names[r], "ink", TICK, "end", tip=figure.rows[r] if names[r] != figure.rows[r] else ""))
        for c, value in enumerate(row):
            if value is None or not math.isfinite(value):
                continue
            share = (value - low) / (high - low) if high > low else 0.5
            x, tip = left + c * across, f"{figure.rows[r]}, {figure.columns[c]}: {scale.brief(value)}"
            marks.append(Box(x, y, across - GAP, ROW - GAP, Paint(fill="heat")))
            marks.append(Box(x, y, across - GAP, ROW - GAP, Paint(fill="accent", opacity=round(share, 3)), tip))
            if fits:
                marks.append(Label(x + (across - GAP) / 2, y + ROW / 2 + 3, written[r][c], text_role(share), TICK, "middle", tip=tip))
    columns, below = _columns(figure, left, bottom, across)
    middle = (left + WIDTH) / 2
    titles = [Label(middle, bottom + below + 15, text.shortened(figure.x_label, WIDTH - left, TITLE), "muted", TITLE, "middle")] if figure.x_label else []
    if figure.y_label:
        titles.append(Label(12, (top + bottom) / 2, text.shortened(figure.y_label, bottom - top, TITLE), "muted", TITLE, "middle", turned=-90))
    name = f"{figure.title}: {figure.x_label} by {figure.y_label}, {len(figure.rows)} rows, {len(figure.columns)} columns"
    return Drawing(WIDTH, bottom + below + (22 if figure.x_label else 4), (*marks, *columns, *titles), name)


def _columns(figure: Heatmap, left: float, bottom: float, across: float) -> tuple[list[Mark], float]:
    """The columns' names and their height: on one line, broken into a few, or upright where they are too long for that."""
    centres = [left + (c + 0.5) * across - GAP / 2 for c in range(len(figure.columns))]
    broken = [text.wrapped(name, across - 6, TICK, 3) for name in figure.columns]
    if not any(line.endswith(text.ELLIPSIS) for lines in broken for line in lines):
        flat = [(x, bottom + 13 + i * 13, line) for x, lines in zip(centres, broken, strict=True) for i, line in enumerate(lines)]
        return [Label(x, y, line, "ink", TICK, "middle") for x, y, line in flat], 4 + 13.0 * max(map(len, broken), default=0)
    every = math.ceil(TICK * text.LINE_HEIGHT / across)
    named = list(zip(centres, figure.columns, strict=True))[::every]
    shown = [text.shortened(name, LONGEST, TICK) for _, name in named]
    upright = [Label(x + 4, bottom + 5, short, "ink", TICK, "end", turned=-90, tip=name) for (x, name), short in zip(named, shown, strict=True)]
    return list(upright), text.widest(shown, TICK) + 8


def _scale(low: float, high: float) -> list[Mark]:
    """The colours from the smallest to the largest value."""
    left, steps, step = 8 + text.width(scale.brief(low), TICK) + 8, 10, 14.0
    marks: list[Mark] = [Label(8, 18, scale.brief(low), "muted", TICK), Label(left + steps * step + 8, 18, scale.brief(high), "muted", TICK)]
    for i in range(steps):
        marks.append(Box(left + i * step, 8, step, 12, Paint(fill="heat")))
        marks.append(Box(left + i * step, 8, step, 12, Paint(fill="accent", opacity=i / (steps - 1))))
    return marks


def _ends(figure: Heatmap) -> tuple[float, float]:
    found = [v for row in figure.values for v in row if v is not None and math.isfinite(v)]
    return min(found, default=0.0), max(found, default=1.0)


def _written(value: float | None, fractions: bool) -> str:
    """A value as its cell tells it: two decimals where all values are at most 1 in size, else three digits."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:{'.2f' if fractions else '.3g'}}".replace("-", MINUS)
