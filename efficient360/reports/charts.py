"""Figures as plain plotly JSON in the light theme's colours; plotly itself is not imported."""

import math
from collections.abc import Sequence
from functools import partial
from html import escape as escape_html
from typing import Any

from efficient360.core.figures import Bars, Curve, Heatmap, Series
from efficient360.core.formatting import MINUS
from efficient360.reports.theme import LIGHT, SERIES

Chart = dict[str, Any]
escape = partial(escape_html, quote=False)
"""Text for plotly, which reads ``&lt;`` but not ``&quot;``."""

CLEAR = "rgba(0,0,0,0)"
MANY_BARS = 40


def chart(figure: Curve | Bars | Heatmap) -> Chart:
    """A figure as ``{"data": […], "layout": {…}}`` of plotly's JSON schema. All text is escaped; no number is NaN or infinite."""
    if isinstance(figure, Curve):
        return _curve(figure)
    return _bars(figure) if isinstance(figure, Bars) else _heatmap(figure)


def finite(values: Sequence[float | None]) -> list[float | None]:
    """``values`` with ``None`` for every non-finite number, which JSON can't hold."""
    return [v if v is not None and math.isfinite(v) else None for v in values]


def _axis(text: str) -> Chart:
    return {
        "title": {"text": escape(text), "font": {"color": LIGHT["muted"], "size": 12}, "standoff": 8},
        "gridcolor": LIGHT["grid"],
        "linecolor": LIGHT["rule"],
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        "tickfont": {"color": LIGHT["muted"], "size": 11},
    }


def _log(values: Sequence[float]) -> Chart:
    """A logarithmic axis: tick labels such as 10M for large numbers, 0.001 for rates, 10⁻⁸ below."""
    low, high = min((v for v in values if v > 0), default=1.0), max(values, default=1.0)
    notation = "SI" if high >= 1e3 else "none" if low >= 1e-4 else "power"
    return {"type": "log", "exponentformat": notation, "minexponent": 2, "minorloglabels": "none"}


def _layout(x: Chart, y: Chart, height: int) -> Chart:
    return {
        "xaxis": x,
        "yaxis": y,
        "height": height,
        "margin": {"l": 52, "r": 12, "t": 12, "b": 44},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"color": LIGHT["ink"], "size": 12},
        "dragmode": False,
        "showlegend": False,
        "hovermode": "closest",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11.5}},
        "hoverlabel": {"bgcolor": LIGHT["sheet"], "bordercolor": LIGHT["rule"], "font": {"color": LIGHT["ink"]}, "align": "left"},
    }


def _curve(figure: Curve) -> Chart:
    coloured = [s for s in figure.series if s.style != "reference"]
    traces: list[Chart] = []
    for series in figure.series:
        colour = LIGHT["faint"] if series.style == "reference" else LIGHT[SERIES[coloured.index(series) % len(SERIES)]]
        traces += _series(series, colour)
    x, y = _axis(figure.x_label), _axis(figure.y_label)
    x |= _log([v for s in figure.series for v in s.x]) if figure.x_log else {}
    y |= _log([v for s in figure.series for v in s.y]) if figure.y_log else {}
    layout = _layout(x, y, 320)
    layout["showlegend"] = sum(bool(s.name) for s in figure.series) > 1
    if _is_square(figure):
        side = {"range": [-0.02, 1.02], "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1], "constrain": "domain"}
        layout["xaxis"] |= side
        layout["yaxis"] |= side | {"scaleanchor": "x", "scaleratio": 1}
        layout["height"] = 380
    return {"data": traces, "layout": layout}


def _is_square(figure: Curve) -> bool:
    """Whether both axes are fractions plotted against the diagonal, as in a reliability diagram: drawn with equal scales."""
    if figure.x_log or figure.y_log or not any(s.style == "reference" and s.x == s.y for s in figure.series):
        return False
    return all(0 <= v <= 1 for s in figure.series for v in (*s.x, *s.y, *s.low, *s.high))


def _series(series: Series, colour: str) -> list[Chart]:
    name, x, y = escape(series.name), finite(series.x), finite(series.y)
    base: Chart = {"type": "scatter", "name": name, "x": x, "y": y, "hovertemplate": "%{x:.4~g}, %{y:.4~g}<extra>%{fullData.name}</extra>"}
    if series.style == "reference":
        return [base | {"mode": "lines", "line": {"color": colour, "width": 1, "dash": "dash"}, "hoverinfo": "skip", "hovertemplate": None}]
    mode = "markers" if series.style == "points" else "lines+markers" if len(x) <= 30 else "lines"
    main = base | {"mode": mode, "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 6}}
    if not series.low:
        return [main]
    if series.style == "points":
        return [main | {"error_y": _errors(series.y, series.low, series.high, colour)}]
    band: Chart = {
        "type": "scatter",
        "x": [*x, *reversed(x)],
        "y": [*finite(series.high), *reversed(finite(series.low))],
        "mode": "none",
        "fill": "toself",
        "fillcolor": colour,
        "opacity": 0.15,
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return [band, main]


def _errors(values: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str) -> Chart:
    up = [max(0.0, h - v) for v, h in zip(values, high, strict=True)]
    down = [max(0.0, v - lo) for v, lo in zip(values, low, strict=True)]
    return {"type": "data", "symmetric": False, "array": finite(up), "arrayminus": finite(down), "color": colour, "thickness": 1.2, "width": 3}


def _bars(figure: Bars) -> Chart:
    """Horizontal bars, one line each, so that long names stay readable; vertical bars without names when there are too many."""
    positions, values = list(range(len(figure.values))), finite(figure.values)
    names = [escape(label) for label in figure.labels]
    horizontal = len(names) <= MANY_BARS
    trace: Chart = {
        "type": "bar",
        "text": names,
        "textposition": "none",
        "marker": {"color": LIGHT["accent"], "opacity": 0.55},
        "hovertemplate": f"%{{text}}: %{{{'x' if horizontal else 'y'}:.4~g}}<extra></extra>",
    }
    trace |= {"orientation": "h", "x": values, "y": positions} if horizontal else {"orientation": "v", "x": positions, "y": values}
    if figure.low:
        trace["error_x" if horizontal else "error_y"] = _errors(figure.values, figure.low, figure.high, LIGHT["ink"])
    if not horizontal:
        return {"data": [trace], "layout": _layout(_axis(figure.x_label) | {"showticklabels": False, "showgrid": False}, _axis(figure.y_label), 320)}
    named = _axis("") | {"tickvals": positions, "ticktext": names, "autorange": "reversed", "showgrid": False, "ticks": ""}
    layout = _layout(_axis(figure.y_label) | {"rangemode": "tozero"}, named, 90 + 24 * len(names))
    return {"data": [trace], "layout": layout | {"bargap": 0.35}}


def _heatmap(figure: Heatmap) -> Chart:
    columns, rows = [escape(c) for c in figure.columns], [escape(r) for r in figure.rows]
    cells = [finite(row) for row in figure.values]
    small = len(columns) <= 12
    trace: Chart = {
        "type": "heatmap",
        "z": cells,
        "x": list(range(len(columns))),
        "y": list(range(len(rows))),
        "xgap": 2,
        "ygap": 2,
        "hoverongaps": False,
        "colorscale": [[0, LIGHT["heat"]], [1, LIGHT["accent"]]],
        "showscale": not small,
        "colorbar": {"thickness": 10, "outlinewidth": 0, "len": 0.9},
        "customdata": [[[r, c] for c in columns] for r in rows],
        "hovertemplate": "%{customdata[0]}, %{customdata[1]}: %{z:.4~g}<extra></extra>",
    }
    if small:
        precision = ".2f" if all(v is None or abs(v) <= 1 for row in cells for v in row) else ".3g"
        texts = [["" if v is None else format(v, precision).replace("-", MINUS) for v in row] for row in cells]
        trace |= {"text": texts, "texttemplate": "%{text}", "textfont": {"size": 11}}
    x = _axis(figure.x_label) | {"tickvals": trace["x"], "ticktext": columns, "showgrid": False, "ticks": ""}
    y = _axis(figure.y_label) | {"tickvals": trace["y"], "ticktext": rows, "showgrid": False, "ticks": "", "autorange": "reversed"}
    return {"data": [trace], "layout": _layout(x, y, 100 + 26 * len(rows))}
