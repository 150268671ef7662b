"""Points over two logarithmic axes as plain SVG geometry: many small charts on one page without a script."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from efficient360.benchmark.board import DeviceBoard
from efficient360.benchmark.ranking import macs_and_latency
from efficient360.benchmark.tables import column
from efficient360.benchmark.utilisation import matmul_peak
from efficient360.core.formatting import scaled, significant

WIDTH, HEIGHT = 320.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 8.0, 34.0
STEPS = (1, 2, 5)


@final
@dataclass(frozen=True)
class Point:
    """A model: where it stands in the chart, its family for the colour, and what it says when pointed at."""

    x: float
    y: float
    family: str
    text: str


@final
@dataclass(frozen=True)
class Tick:
    """A mark on an axis and its text."""

    at: float
    text: str


@final
@dataclass(frozen=True)
class Scatter:
    """One chart.

    Args:
        title: Its caption.
        fact: What it shows in one figure.
        points: Models.
        x_ticks: Multiply-adds.
        y_ticks: Milliseconds.
        line: Ends ``(x1, y1, x2, y2)`` of the least latency that the device's peak allows; ``None`` without a peak.
    """

    title: str
    fact: str
    points: Sequence[Point]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    line: tuple[float, float, float, float] | None


@final
@dataclass(frozen=True)
class _Scale:
    """A logarithmic axis from ``low`` to ``high`` over the pixels ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        candidates = [step * 10.0**decade for decade in decades for step in STEPS]
        inside = [value for value in candidates if self.low <= value <= self.high]
        return inside if len(inside) <= 6 else [value for value in inside if f"{value:e}"[0] == "1"]


def scatters(board: DeviceBoard) -> list[Scatter]:
    """Multiply-adds against latency, a chart a column, all on the same axes; columns with fewer than two models are left out."""
    columns = [(label, *macs_and_latency(board, label)) for label in board.labels]
    columns = [entry for entry in columns if len(entry[1]) > 1]
    every = [point for _, points, _ in columns for point in points]
    if not every:
        return []
    x = _Scale(min(p[1] for p in every) / 1.3, max(p[1] for p in every) * 1.3, LEFT, WIDTH - RIGHT)
    top = matmul_peak(board)
    ideal = [] if top is None else [max(p[1] for p in every) / top.speed]
    y = _Scale(min([p[2] for p in every] + ideal) / 1.4, max(p[2] for p in every) * 1.4, HEIGHT - BOTTOM, TOP)
    families = {model.name: model.family.value for model in board.models}
    charts = []
    for label, points, rho in columns:
        drawn = [Point(x.at(m), y.at(s), families[name], f"{name}: {scaled(m, 'MAC')}, {scaled(s, 's')}") for name, m, s in points]
        fact = "" if rho is None else f"rank correlation {rho.rho:.2f} over {rho.points} models".replace("-", "−")
        charts.append(
            Scatter(
                column(board, label),
                fact,
                drawn,
                [Tick(x.at(v), scaled(v, "", 1)) for v in x.ticks()],
                [Tick(y.at(v), significant(1e3 * v, 1)) for v in y.ticks()],
                None if top is None else _line(x, y, top.speed),
            )
        )
    return charts


def _line(x: _Scale, y: _Scale, speed: float) -> tuple[float, float, float, float] | None:
    """The line seconds = MACs / speed within the axes; ``None`` where it passes them by."""
    low, high = max(x.low, y.low * speed), min(x.high, y.high * speed)
    return None if low >= high else (x.at(low), y.at(low / speed), x.at(high), y.at(high / speed))
