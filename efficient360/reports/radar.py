"""The radar as plotly JSON, for boards, Weights & Biases and notebooks: clockwise from 12 o'clock, missing scores as gaps, never as zeros."""

from collections.abc import Sequence
from functools import partial
from html import escape as escape_html
from typing import Any, Final

from efficient360.reports.report import Axis
from efficient360.reports.theme import LIGHT, SERIES

Chart = dict[str, Any]
escape = partial(escape_html, quote=False)
"""Text for plotly, which reads ``&lt;`` but not ``&quot;``."""

RINGS: Final = (0.25, 0.5, 0.75, 1.0)
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def radar(axes: Sequence[Axis]) -> Chart:
    """One model's axes, each labelled with its score or why it has none."""
    traces = outline([a.score for a in axes], [hover(a) for a in axes], "score", 0)
    return {"data": traces, "layout": layout([label(a) for a in axes])}


def overlay(titles: Sequence[str], runs: Sequence[tuple[str, Sequence[float | None]]]) -> Chart:
    """Several models over the same axes: ``(name, scores)`` each, one score per title. Axes that none of them has are grey."""
    traces: list[Chart] = []
    for index, (name, scores) in enumerate(runs):
        texts = [f"<b>{escape(title)}</b><br>{escape(name)}: {'' if s is None else f'{s:.2f}'}" for title, s in zip(titles, scores, strict=True)]
        traces += outline(scores, texts, escape(name), index)
    legend = {"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.12, "yanchor": "top"}
    measured = {title for _, scores in runs for title, score in zip(titles, scores, strict=True) if score is not None}
    labels = [breaking(t) if t in measured else greyed(f"{breaking(t)}<br><i>not measured</i>") for t in titles]
    return {"data": traces, "layout": layout(labels) | {"showlegend": len(runs) > 1, "legend": legend}}


def outline(scores: Sequence[float | None], texts: Sequence[str], name: str, index: int) -> list[Chart]:
    """Fill, line and markers of one model.

    Only adjacent axes with a score are joined; one between two gaps is a marker on a spoke from the centre.
    """
    colour = LIGHT[SERIES[index % len(SERIES)]]
    dash = DASHES[index // len(SERIES) % len(DASHES)]
    step = 360 / max(1, len(scores))
    stretches = neighbours(scores)
    whole = len(stretches) == 1 and len(stretches[0]) == len(scores) > 2
    common: Chart = {"type": "scatterpolar", "name": name, "legendgroup": f"run{index}"}
    line: tuple[list[float | None], list[float | None]] = ([], [])
    area: tuple[list[float | None], list[float | None]] = ([], [])
    for stretch in stretches:
        corners: list[tuple[float | None, float | None]] = [(scores[i], i * step) for i in stretch]
        centre: tuple[float | None, float | None] = (0.0, stretch[0] * step)
        edge = [*corners, corners[0]] if whole else corners if len(stretch) > 1 else [centre, *corners]
        fan = corners if whole else [centre, *corners, centre]
        for into, points in ((line, edge), (area, fan)):
            into[0].extend([*(r for r, _ in points), None])
            into[1].extend([*(t for _, t in points), None])
    measured = [i for i, s in enumerate(scores) if s is not None]
    dots: Chart = {"mode": "markers", "marker": {"color": colour, "size": 7, "line": {"color": LIGHT["paper"], "width": 1.5}}}
    return [
        common
        | {
            "r": area[0],
            "theta": area[1],
            "mode": "none",
            "fill": "toself",
            "fillcolor": colour,
            "opacity": 0.14,
            "hoverinfo": "skip",
            "showlegend": False,
        },
        common
        | {
            "r": line[0],
            "theta": line[1],
            "mode": "lines",
            "line": {"color": colour, "width": 2, "dash": dash},
            "connectgaps": False,
            "hoverinfo": "skip",
        },
        common
        | dots
        | {
            "r": [scores[i] for i in measured],
            "theta": [i * step for i in measured],
            "text": [texts[i] for i in measured],
            "hovertemplate": "%{text}<extra></extra>",
            "showlegend": False,
        },
    ]


def neighbours(scores: Sequence[float | None]) -> list[list[int]]:
    """Indices of axes with a score in runs without a gap around the circle; a run may cross 12 o'clock."""
    gaps = [i for i, s in enumerate(scores) if s is None]
    if not gaps:
        return [list(range(len(scores)))] if scores else []
    stretches: list[list[int]] = [[]]
    for offset in range(1, len(scores) + 1):
        index = (gaps[0] + offset) % len(scores)
        if scores[index] is None:
            stretches.append([])
        else:
            stretches[-1].append(index)
    return [s for s in stretches if s]


def breaking(title: str) -> str:
    """A title as chart text, one word per line."""
    return escape(title).replace(" ", "<br>")


def label(axis: Axis) -> str:
    """An axis's title over its score; in grey over the reason if it has none."""
    title = breaking(axis.dimension.title)
    if axis.score is not None:
        return f"{title}<br><b>{axis.score_text}</b>"
    return greyed(f"{title}<br><i>{missing(axis)}</i>")


def greyed(text: str) -> str:
    """Grey chart text."""
    return f'<span style="color:{LIGHT["faint"]}">{text}</span>'


def missing(axis: Axis) -> str:
    """Why an axis has no score, in a few words."""
    if axis.void:
        return "void"
    measured = sum(part.measurement is not None for part in axis.parts)
    return f"{measured} of {len(axis.parts)} measured" if measured else "not measured"


def hover(axis: Axis) -> str:
    """Hover text of an axis."""
    bound = f"<br>{escape(axis.bound_text)}" if axis.bound_text else ""
    return f"<b>{escape(axis.dimension.title)}</b> {axis.score_text}<br>{escape(axis.dimension.question)}{bound}"


def layout(labels: Sequence[str]) -> Chart:
    """A polar layout with a label at each axis and rings at quarters."""
    step = 360 / max(1, len(labels))
    return {
        "polar": {
            "bgcolor": "rgba(0,0,0,0)",
            "radialaxis": {
                "range": [0, 1],
                "tickvals": list(RINGS),
                "ticktext": ["", "½", "", "1"],
                "angle": 90 + step / 2,
                "tickangle": 90 + step / 2,
                "showline": False,
                "ticks": "",
                "gridcolor": LIGHT["grid"],
                "tickfont": {"color": LIGHT["faint"], "size": 11},
                "layer": "below traces",
            },
            "angularaxis": {
                "direction": "clockwise",
                "rotation": 90,
                "tickvals": [i * step for i in range(len(labels))],
                "ticktext": list(labels),
                "ticks": "outside",
                "ticklen": 6,
                "tickcolor": "rgba(0,0,0,0)",
                "gridcolor": LIGHT["grid"],
                "linecolor": LIGHT["rule"],
                "layer": "below traces",
            },
        },
        "showlegend": False,
        "dragmode": False,
        "margin": {"l": 96, "r": 96, "t": 58, "b": 52},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": LIGHT["ink"], "size": 12.5},
        "hoverlabel": {"bgcolor": LIGHT["sheet"], "bordercolor": LIGHT["rule"], "font": {"color": LIGHT["ink"]}, "align": "left"},
    }
