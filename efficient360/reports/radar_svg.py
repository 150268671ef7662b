"""The radar chart as a small SVG, for notebooks and other places without scripts: missing scores are gaps, never zeros."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

from efficient360.reports.radar import missing, neighbours
from efficient360.reports.report import Axis
from efficient360.reports.theme import LIGHT

WIDTH, HEIGHT, RADIUS = 620, 460, 150
RINGS: Final = (0.25, 0.5, 0.75, 1.0)


def radar_svg(axes: Sequence[Axis]) -> str:
    """Axes clockwise from 12 o'clock, each labelled with its score in [0, 1] or why it has none. Text is escaped."""
    step = 2 * math.pi / max(1, len(axes))
    rings = "".join(f'<circle cx="0" cy="0" r="{RADIUS * ring:g}" fill="none" stroke="{LIGHT["grid"]}"/>' for ring in RINGS)
    spokes = "".join(f'<line x1="0" y1="0" {_xy(1, i * step, "2")} stroke="{LIGHT["grid"]}"/>' for i in range(len(axes)))
    scores = [axis.score for axis in axes]
    stretches = neighbours(scores)
    whole = len(stretches) == 1 and len(stretches[0]) == len(scores) > 2
    shapes = "".join(_stretch(stretch, scores, step, whole) for stretch in stretches)
    dots = "".join(
        f'<circle {_xy(score, i * step, "", "c")} r="4" fill="{LIGHT["accent"]}">'
        f"<title>{escape(f'{axes[i].dimension.title}: {axes[i].score_text}')}</title></circle>"
        for i, score in enumerate(scores)
        if score is not None
    )
    labels = "".join(_label(axis, i * step) for i, axis in enumerate(axes))
    summary = "; ".join(f"{axis.dimension.title} {axis.score_text or missing(axis)}" for axis in axes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-WIDTH // 2} {-HEIGHT // 2} {WIDTH} {HEIGHT}" width="{WIDTH}" role="img"'
        f' aria-label="{escape(f"Radar of scores. {summary}", quote=True)}" style="max-width:100%;font:12px system-ui,sans-serif;background:{LIGHT["paper"]}">'
        f"{rings}{spokes}{shapes}{dots}{labels}</svg>"
    )


def _point(radius: float, angle: float) -> tuple[float, float]:
    return RADIUS * radius * math.sin(angle), -RADIUS * radius * math.cos(angle)


def _xy(radius: float, angle: float, suffix: str, prefix: str = "") -> str:
    x, y = _point(radius, angle)
    return f'{prefix}x{suffix}="{x:.1f}" {prefix}y{suffix}="{y:.1f}"'


def _stretch(stretch: Sequence[int], scores: Sequence[float | None], step: float, whole: bool) -> str:
    """The line through adjacent axes with a score, and the area under it."""
    corners = [_point(scores[i] or 0.0, i * step) for i in stretch]
    path = " L".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    area = path if whole else f"0,0 L{path}"
    line = f"M{path}{' Z' if whole else ''}" if len(corners) > 1 else f"M0,0 L{path}"
    accent = LIGHT["accent"]
    return f'<path d="M{area} Z" fill="{accent}" opacity="0.14"/><path d="{line}" fill="none" stroke="{accent}" stroke-width="2"/>'


def _label(axis: Axis, angle: float) -> str:
    x, y = _point(1.13, angle)
    side = math.sin(angle)
    anchor = "middle" if abs(side) < 0.15 else "start" if side > 0 else "end"
    second = f'<tspan font-weight="600">{axis.score_text}</tspan>' if axis.score is not None else f'<tspan font-style="italic">{escape(missing(axis))}</tspan>'
    fill = LIGHT["ink"] if axis.score is not None else LIGHT["faint"]
    first = f'<tspan x="{x:.1f}">{escape(axis.dimension.title)}</tspan>'
    second = second.replace("<tspan", f'<tspan x="{x:.1f}" dy="1.2em"', 1)
    return f'<text x="{x:.1f}" y="{y - 4:.1f}" text-anchor="{anchor}" fill="{fill}">{first}{second}</text>'
