"""Plain-data pictures that a measurement carries and a report draws. An evaluator describes; only renderers draw."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final


@final
@dataclass(frozen=True)
class Series:
    """One line or set of points of a curve.

    Args:
        name: Legend entry.
        x: Positions.
        y: Values, as many as ``x``.
        low: Lower ends of the values' intervals, empty when there are none.
        high: Upper ends, as many as ``low``.
        style: ``reference`` draws a thin dashed line, for diagonals and baselines.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    style: Literal["line", "points", "reference"] = "line"


@final
@dataclass(frozen=True)
class Curve:
    """Values over a continuous axis: reliability, risk against coverage, accuracy against ε."""

    kind: ClassVar[str] = "curve"
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    x_log: bool = False
    y_log: bool = False


@final
@dataclass(frozen=True)
class Bars:
    """One value a category, with intervals where there are any: accuracy by class, accuracy by group."""

    kind: ClassVar[str] = "bars"
    title: str
    x_label: str
    y_label: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@final
@dataclass(frozen=True)
class Heatmap:
    """A matrix of values: corruption by severity, task by time. ``values[row][column]``."""

    kind: ClassVar[str] = "heatmap"
    title: str
    x_label: str
    y_label: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


@final
@dataclass(frozen=True)
class Table:
    """Rows of already formatted or plain values under column heads."""

    kind: ClassVar[str] = "table"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]


@final
@dataclass(frozen=True)
class Picture:
    """One image: a ``data:image/png;base64,…`` URI with a caption, and a second, quieter line."""

    image: str
    caption: str
    detail: str = ""


@final
@dataclass(frozen=True)
class Gallery:
    """Pictures side by side: the hardest mistakes, images with their heat maps."""

    kind: ClassVar[str] = "gallery"
    title: str
    pictures: tuple[Picture, ...]


Figure = Curve | Bars | Heatmap | Table | Gallery
FIGURES: tuple[type[Figure], ...] = (Curve, Bars, Heatmap, Table, Gallery)
