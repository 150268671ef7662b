"""How wide text is before anyone draws it: the widths of a wide font, so that labels keep clear of one another in any."""

import unicodedata
from collections.abc import Sequence
from typing import Final

from efficient360.reports.drawing.marks import Label

# fmt: off
_WIDTHS: Final = (
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34, 84, 84, 84, 53,
    100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50,
    50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
)
# fmt: on
"""Advance widths of the printable ASCII characters in DejaVu Sans, the widest of the common sans-serif fonts, in hundredths of an em."""
_BOLD: Final = 1.13
LINE_HEIGHT: Final = 1.25
_ASCENT, _DESCENT = 0.78, 0.22
ELLIPSIS: Final = "…"

Corners = tuple[float, float, float, float]
"""Left, top, right and bottom of a box in px."""


def width(text: str, size: float, bold: bool = False) -> float:
    """Estimated width in px of one line at a font size in px."""
    return sum(map(_em, text)) * size * (_BOLD if bold else 1.0)


def _em(character: str) -> float:
    place = ord(character) - 32
    if 0 <= place < len(_WIDTHS):
        return _WIDTHS[place] / 100
    if unicodedata.combining(character):
        return 0.0
    if character in "·\N{NO-BREAK SPACE}":
        return 0.32
    return 1.05 if unicodedata.east_asian_width(character) in "WF" or character == ELLIPSIS else 0.84 if unicodedata.category(character) == "Sm" else 0.68


def shortened(text: str, room: float, size: float, bold: bool = False) -> str:
    """``text`` on one line of at most ``room`` px, its end cut for an ellipsis where it is longer; nothing where not even that fits."""
    line = text.replace("\n", " ")
    if width(line, size, bold) <= room:
        return line
    kept = len(line)
    while kept and width(line[:kept].rstrip() + ELLIPSIS, size, bold) > room:
        kept -= 1
    return line[:kept].rstrip() + ELLIPSIS if kept else ""


def wrapped(text: str, room: float, size: float, lines: int, bold: bool = False) -> list[str]:
    """``text`` broken at spaces into at most ``lines`` lines of ``room`` px; what does not fit is shortened."""
    found: list[str] = [""]
    for word in text.split(" "):
        longer = f"{found[-1]} {word}".strip()
        if width(longer, size, bold) <= room or not found[-1] or len(found) == lines:
            found[-1] = longer
        else:
            found.append(word)
    return [shortened(line, room, size, bold) for line in found]


def widest(texts: Sequence[str], size: float) -> float:
    """Width of the widest of ``texts``; 0 without any."""
    return max((width(text, size) for text in texts), default=0.0)


def corners(label: Label) -> Corners:
    """The box that a label takes, upright or turned by a quarter; for other angles, its unturned box."""
    across = width(label.text, label.size, label.bold)
    back = {"start": 0.0, "middle": across / 2, "end": across}[label.anchor]
    left, right, top, bottom = -back, across - back, -_ASCENT * label.size, _DESCENT * label.size
    turns = {90: (-bottom, left, -top, right), -90: (top, -right, bottom, -left)}
    left, top, right, bottom = turns.get(round(label.turned), (left, top, right, bottom))
    return label.x + left, label.y + top, label.x + right, label.y + bottom
