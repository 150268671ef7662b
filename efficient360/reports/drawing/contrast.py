"""Contrast between two colours (WCAG 2.2), and which text colour a heat map's cell takes in both themes."""

from typing import Final

from efficient360.reports.theme import DARK, LIGHT

Rgb = tuple[float, float, float]
"""Red, green and blue in [0, 1], as sRGB encodes them."""

BLACK, WHITE = "#000000", "#ffffff"
_ROLES: Final = {(BLACK, BLACK): "black", (WHITE, WHITE): "white", (BLACK, WHITE): "strong", (WHITE, BLACK): "reverse"}
"""Role of a text colour by what it is in the light theme and in the dark one."""


def rgb(colour: str) -> Rgb:
    """``#rrggbb`` as numbers."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def luminance(colour: Rgb) -> float:
    """Relative luminance in [0, 1] (WCAG 2.2)."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(first: Rgb, second: Rgb) -> float:
    """Contrast ratio from 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def mixed(under: str, over: str, opacity: float) -> Rgb:
    """What shows where ``over`` is painted on ``under``."""
    red, green, blue = ((1 - opacity) * a + opacity * b for a, b in zip(rgb(under), rgb(over), strict=True))
    return red, green, blue


def text_role(share: float) -> str:
    """Role of the text on a cell that is painted with ``share`` in [0, 1] of the accent: black or white, whichever contrasts more, in each theme."""
    cells = [mixed(theme["heat"], theme["accent"], share) for theme in (LIGHT, DARK)]
    light, dark = (max((BLACK, WHITE), key=lambda text, cell=cell: ratio(rgb(text), cell)) for cell in cells)  # type: ignore[misc]
    return _ROLES[light, dark]
