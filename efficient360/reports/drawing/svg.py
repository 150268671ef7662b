"""A drawing as SVG text: in a page its colours are the page's CSS variables, in a file they are those of a theme."""

from collections.abc import Mapping
from html import escape
from typing import Final

from efficient360.core.text import shown
from efficient360.reports.drawing.marks import Box, Dot, Drawing, Label, Mark, Paint, Shape
from efficient360.reports.theme import LIGHT

ON_PAGE: Final[Mapping[str, str]] = {role: f"var(--{role})" for role in LIGHT}
"""Colours that follow the page's theme."""
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"


def inline(drawing: Drawing, css: str = "drawing") -> str:
    """``drawing`` as an ``<svg>`` element for a page with the themes' variables; all text is escaped, nothing in it runs or loads.

    Args:
        drawing: What to write.
        css: Classes of the element, for the page's style sheet.
    """
    size = f'viewBox="0 0 {_n(drawing.width)} {_n(drawing.height)}"'
    return f'<svg class="{_text(css)}" {size} role="img" aria-label="{_text(drawing.name)}">{_marks(drawing, ON_PAGE)}</svg>'


def standalone(drawing: Drawing, colours: Mapping[str, str] = LIGHT) -> str:
    """``drawing`` as a whole SVG file of fixed size on the theme's paper."""
    width, height = _n(drawing.width), _n(drawing.height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f' aria-label="{_text(drawing.name)}" font-family="{FONT}" style="max-width:100%;height:auto">'
        f'<rect width="{width}" height="{height}" fill="{colours["paper"]}"/>{_marks(drawing, colours)}</svg>'
    )


def _marks(drawing: Drawing, colours: Mapping[str, str]) -> str:
    return "".join(_mark(mark, colours) for mark in drawing.marks)


def _mark(mark: Mark, colours: Mapping[str, str]) -> str:
    match mark:
        case Shape():
            path = "".join(f"M{'L'.join(f'{_n(x)},{_n(y)}' for x, y in line)}{'Z' if mark.closed else ''}" for line in mark.lines if line)
            return _element("path", f'd="{path}"{_paint(mark.paint, colours)}', mark.tip)
        case Box():
            place = f'x="{_n(mark.x)}" y="{_n(mark.y)}" width="{_n(mark.width)}" height="{_n(mark.height)}"'
            return _element("rect", place + _paint(mark.paint, colours), mark.tip)
        case Dot():
            return _element("circle", f'cx="{_n(mark.x)}" cy="{_n(mark.y)}" r="{_n(mark.radius)}"{_paint(mark.paint, colours)}', mark.tip)
        case Label():
            return _label(mark, colours)


def _label(mark: Label, colours: Mapping[str, str]) -> str:
    anchor = "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
    style = (' font-weight="600"' if mark.bold else "") + (' font-style="italic"' if mark.italic else "")
    turned = f' transform="rotate({_n(mark.turned)} {_n(mark.x)} {_n(mark.y)})"' if mark.turned else ""
    tip = f"<title>{_text(mark.tip)}</title>" if mark.tip else ""
    place = f'x="{_n(mark.x)}" y="{_n(mark.y)}" font-size="{_n(mark.size)}" fill="{colours[mark.role]}"'
    return f"<text {place}{anchor}{style}{turned}>{tip}{_text(mark.text)}</text>"


def _element(name: str, attributes: str, tip: str) -> str:
    return f"<{name} {attributes}><title>{_text(tip)}</title></{name}>" if tip else f"<{name} {attributes}/>"


def _paint(paint: Paint, colours: Mapping[str, str]) -> str:
    fill = f' fill="{colours[paint.fill] if paint.fill else "none"}"'
    line = f' stroke="{colours[paint.stroke]}"' if paint.stroke else ""
    line += f' stroke-width="{_n(paint.width)}"' if paint.stroke and paint.width != 1 else ""
    line += f' stroke-dasharray="{" ".join(map(_n, paint.dash))}"' if paint.stroke and paint.dash else ""
    return fill + line + (f' opacity="{_n(paint.opacity)}"' if paint.opacity != 1 else "")


def _n(value: float) -> str:
    """A coordinate to a hundredth of a px."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _text(text: str) -> str:
    return escape(shown(text), quote=True)
