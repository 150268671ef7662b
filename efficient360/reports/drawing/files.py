"""A drawing as a file: SVG by our own writer, PDF and PNG through matplotlib, which is imported only here and only then."""

import io
import logging
import warnings
from pathlib import Path
from typing import Any, Final, Literal

from efficient360.errors import SettingsError
from efficient360.reports.drawing.marks import Anchor, Box, Dot, Drawing, Label, Mark, Paint, Shape
from efficient360.reports.drawing.svg import standalone
from efficient360.reports.theme import LIGHT
from efficient360.storage.writing import into

COLOURS: Final = {**LIGHT, "paper": "#ffffff"}
"""Of files: white, so that a figure shows no box in a paper or on a slide."""
FORMATS: Final = (".svg", ".pdf", ".png")
PX_PER_INCH: Final = 96
SHARPNESS: Final = 2
"""Pixels of a PNG for one px of a drawing."""
_ALIGNED: Final[dict[Anchor, Literal["left", "center", "right"]]] = {"start": "left", "middle": "center", "end": "right"}
POINT: Final = 72 / PX_PER_INCH
"""Points in a px."""


def save(drawing: Drawing, path: Path, sharpness: float = SHARPNESS) -> Path:
    """Write ``drawing`` to ``path`` in the format of its suffix: ``.svg``, ``.pdf`` (vector) or ``.png``.

    Args:
        drawing: What to write.
        path: Where to; its folder is created if missing.
        sharpness: Pixels of a PNG for one px.

    Raises:
        SettingsError: Another suffix (``unknown-format``).
        RunError: The file can't be written.
    """
    data = encoded(drawing, path.suffix, sharpness)
    with into(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return path


def encoded(drawing: Drawing, suffix: str, sharpness: float = SHARPNESS) -> bytes:
    """``drawing`` as the bytes of a file.

    Args:
        drawing: What to write.
        suffix: ``.svg``, ``.pdf`` or ``.png``.
        sharpness: Pixels of a PNG for one px.

    Raises:
        SettingsError: Another suffix (``unknown-format``).
    """
    if suffix.lower() not in FORMATS:
        raise SettingsError("unknown-format", f"a figure can't be written as {suffix or 'a file without a suffix'}", f"choose one of {', '.join(FORMATS)}")
    return standalone(drawing, COLOURS).encode() if suffix.lower() == ".svg" else _through_matplotlib(drawing, suffix.lower()[1:], sharpness)


def _through_matplotlib(drawing: Drawing, kind: str, sharpness: float) -> bytes:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(drawing.width / PX_PER_INCH, drawing.height / PX_PER_INCH), dpi=PX_PER_INCH * sharpness, facecolor=COLOURS["paper"])
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    for order, mark in enumerate(drawing.marks):
        for artist in _artists(mark):
            artist.set_zorder(order + 1)
            axes.add_artist(artist)
    into_bytes = io.BytesIO()
    stamp: dict[str, Any] = {"CreationDate": None, "Title": drawing.name} if kind == "pdf" else {"Description": drawing.name}
    # TrueType outlines in a PDF stay text that can be searched and edited; a name in a script that the font lacks is no reason to warn.
    with rc_context({"pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        logging.getLogger("matplotlib").setLevel(logging.ERROR)
        figure.savefig(into_bytes, format=kind, metadata=stamp, facecolor=COLOURS["paper"])
    return into_bytes.getvalue()


def _artists(mark: Mark) -> list[Any]:
    from matplotlib.patches import Circle, PathPatch, Rectangle
    from matplotlib.path import Path as Outline
    from matplotlib.text import Text

    match mark:
        case Shape():
            points, codes = [], []
            for line in mark.lines:
                closed = [line[0]] if mark.closed and line else []
                points += [*line, *closed]
                codes += [Outline.MOVETO, *[Outline.LINETO] * (len(line) - 1), *[Outline.CLOSEPOLY] * len(closed)] if line else []
            return [PathPatch(Outline(points, codes), **_painted(mark.paint))] if points else []
        case Box():
            return [Rectangle((mark.x, mark.y), mark.width, mark.height, **_painted(mark.paint))]
        case Dot():
            return [Circle((mark.x, mark.y), mark.radius, **_painted(mark.paint))]
        case Label():
            return [
                Text(
                    mark.x,
                    mark.y,
                    # "$" would begin a formula.
                    mark.text.replace("$", r"\$"),
                    color=COLOURS[mark.role],
                    fontsize=mark.size * POINT,
                    fontweight="bold" if mark.bold else "normal",
                    fontstyle="italic" if mark.italic else "normal",
                    horizontalalignment=_ALIGNED[mark.anchor],
                    verticalalignment="baseline",
                    rotation=-mark.turned,
                    rotation_mode="anchor",
                )
            ]


def _painted(paint: Paint) -> dict[str, Any]:
    return {
        "facecolor": COLOURS[paint.fill] if paint.fill else "none",
        "edgecolor": COLOURS[paint.stroke] if paint.stroke else "none",
        "linewidth": paint.width * POINT if paint.stroke else 0,
        # Lengths in points, which matplotlib would otherwise take in line widths.
        "linestyle": (0, [d / max(paint.width, 1e-6) for d in paint.dash]) if paint.dash else "solid",
        "alpha": paint.opacity,
        "capstyle": "butt",
        "joinstyle": "round",
    }
