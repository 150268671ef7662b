"""Curves: lines with interval bands, points with error bars, thin dashed references."""

from collections.abc import Sequence
from typing import Final

from efficient360.core.figures import Curve, Series
from efficient360.reports.drawing import scale
from efficient360.reports.drawing.frame import WIDTH, Frame, margin
from efficient360.reports.drawing.legend import Entry, legend
from efficient360.reports.drawing.marks import Drawing, Mark, Paint, Point, Shape
from efficient360.reports.drawing.series import Style, marker, style

HEIGHT: Final = 210.0
SQUARE: Final = 270.0
MOST_MARKERS: Final = 30
"""A line of more points is marked at a few of them."""
FEW_MARKERS: Final = 8
REFERENCES: Final = ((4.0, 3.0), (1.5, 3.0), (8.0, 3.0))
BAND, BAR = 0.15, 1.2


def curve(figure: Curve) -> Drawing:
    """A curve as a drawing. Fractions against the diagonal, as in a reliability diagram, have equal scales."""
    square = is_square(figure)
    x = scale.unit() if square else _axis([v for s in figure.series for v in s.x], figure.x_log)
    y = scale.unit() if square else _axis([v for s in figure.series for v in (*s.y, *s.low, *s.high)], figure.y_log)
    styles = _styles(figure.series)
    entries = [Entry(s.name, how, line=s.style != "points", marked=s.style != "reference") for s, how in zip(figure.series, styles, strict=True)]
    key, above = legend(entries, 8, 2, WIDTH - 16) if sum(bool(s.name) for s in figure.series) > 1 else ([], 0.0)
    left, top = margin(y, figure.y_label), above + 12
    side = min(SQUARE, WIDTH - left - 12)
    right, bottom = (left + side, top + side) if square else (WIDTH - 14, top + HEIGHT)
    frame = Frame(left, top, right, bottom, x, y)
    lines = [mark for s, how in zip(figure.series, styles, strict=True) for mark in _series(s, how, frame)]
    name = f"{figure.title}: {figure.y_label} against {figure.x_label}" + "".join(f"; {s.name}" for s in figure.series if s.name)
    return Drawing(WIDTH, bottom + (42 if figure.x_label else 24), (*frame.marks(figure.x_label, figure.y_label), *lines, *key), name)


def is_square(figure: Curve) -> bool:
    """Whether both axes are fractions plotted against the diagonal."""
    if figure.x_log or figure.y_log or not any(s.style == "reference" and s.x == s.y for s in figure.series):
        return False
    return all(0 <= v <= 1 for s in figure.series for v in (*s.x, *s.y, *s.low, *s.high))


def _axis(values: Sequence[float], log: bool) -> scale.Axis:
    return scale.logarithmic(values) if log else scale.linear(values)


def _styles(series: Sequence[Series]) -> list[Style]:
    """Colours, dashes and markers in order; references are grey and thin."""
    found: list[Style] = []
    coloured = references = 0
    for s in series:
        if s.style == "reference":
            found.append(Style("faint", REFERENCES[references % len(REFERENCES)], "circle"))
            references += 1
        else:
            found.append(style(coloured))
            coloured += 1
    return found


def _series(series: Series, how: Style, frame: Frame) -> list[Mark]:
    points = [frame.at(x, y) for x, y in zip(series.x, series.y, strict=True)]
    if series.style == "reference":
        return [Shape(_stretches(points), Paint(stroke=how.role, width=1.2, dash=how.dash))]
    marks: list[Mark] = []
    ends = list(zip(series.low, series.high, strict=True)) if series.low else []
    spans = [(frame.at(x, low), frame.at(x, high)) for x, (low, high) in zip(series.x, ends, strict=False)]
    if series.style == "points":
        bars = tuple((low, high) for low, high in spans if low and high)
        marks += [Shape(bars, Paint(stroke=how.role, width=BAR))] if bars else []
    else:
        marks += [Shape(_bands(spans), Paint(fill=how.role, opacity=BAND), closed=True)] if spans else []
        marks.append(Shape(_stretches(points), Paint(stroke=how.role, width=2, dash=how.dash)))
    every = 1 if len(points) <= MOST_MARKERS or series.style == "points" else max(1, len(points) // FEW_MARKERS)
    small = 3.4 if len(points) <= MOST_MARKERS or every > 1 else 2.2
    for i in range(every // 2, len(points), every):
        at = points[i]
        if at is not None:
            span = f" ({scale.brief(ends[i][0])} – {scale.brief(ends[i][1])})" if ends else ""
            told = f"{scale.brief(series.x[i])}: {scale.brief(series.y[i])}{span}"
            marks.append(marker(at, how, small, f"{series.name}, {told}" if series.name else told))
    return marks


def _stretches(points: Sequence[Point | None]) -> tuple[tuple[Point, ...], ...]:
    """Points joined up to the gaps between them."""
    found: list[list[Point]] = [[]]
    for point in points:
        if point is None:
            found.append([])
        else:
            found[-1].append(point)
    return tuple(tuple(stretch) for stretch in found if len(stretch) > 1)


def _bands(spans: Sequence[tuple[Point | None, Point | None]]) -> tuple[tuple[Point, ...], ...]:
    """Areas between the lower and the upper ends, each up to the next gap."""
    lower = _stretches([low if low and high else None for low, high in spans])
    upper = _stretches([high if low and high else None for low, high in spans])
    return tuple((*above, *reversed(below)) for below, above in zip(lower, upper, strict=True))
