"""Colours of the light and dark themes: CSS variables of pages and drawings; plotly's charts are drawn in light ones and recoloured in the browser."""

from typing import Final

LIGHT: Final[dict[str, str]] = {
    "paper": "#fdfdfb",
    "sheet": "#f5f5f1",
    "rule": "#dfdfd8",
    "grid": "#e6e6e0",
    "faint": "#686b6f",
    "muted": "#55595e",
    "ink": "#191b1e",
    "accent": "#0b675f",
    "heat": "#eef2ef",
    "caution": "#8a4600",
    "alarm": "#b3001b",
    "second": "#b8520a",
    "third": "#000279",
    "fourth": "#a646ad",
    "fifth": "#3c2b02",
    "sixth": "#774fea",
    "black": "#000000",
    "white": "#ffffff",
    "strong": "#000000",
    "reverse": "#ffffff",
}
"""Colour by role, on a white page."""

DARK: Final[dict[str, str]] = {
    "paper": "#141517",
    "sheet": "#1c1e21",
    "rule": "#34373b",
    "grid": "#2c2f33",
    "faint": "#8f9399",
    "muted": "#abafb5",
    "ink": "#eceae5",
    "accent": "#62cdbb",
    "heat": "#20292a",
    "caution": "#eab566",
    "alarm": "#ff9a94",
    "second": "#da6438",
    "third": "#6580f8",
    "fourth": "#b171b4",
    "fifth": "#edb417",
    "sixth": "#dbbaff",
    "black": "#000000",
    "white": "#ffffff",
    "strong": "#ffffff",
    "reverse": "#000000",
}
"""The same roles on a dark page."""

SERIES: Final = ("accent", "second", "third", "fourth", "fifth", "sixth")
"""Roles of the series of one chart, in order: the colours of which any two stay furthest apart, also for colour-blind readers."""

ON_CELLS: Final = ("black", "white", "strong", "reverse")
"""Roles of text on a heat map's cells: black or white, each in both themes or in one of them."""


def variables(theme: dict[str, str]) -> str:
    """A theme as CSS custom properties: ``--paper:#fdfdfb;--sheet:…``."""
    return "".join(f"--{role}:{colour};" for role, colour in theme.items())


def dark_by_light() -> dict[str, str]:
    """What each light colour becomes on a dark page; text on cells, whose colour is no role's alone, is left out."""
    return {colour: DARK[role] for role, colour in LIGHT.items() if role not in ON_CELLS}
