"""Axes: from values to positions, and ticks at round numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.core.formatting import MINUS, scaled, trimmed

SMALLEST: Final = 1e-280
"""What is smaller is 0: steps between such numbers have no logarithm."""
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@final
@dataclass(frozen=True)
class Axis:
    """One axis of a chart.

    Args:
        low: Value at its beginning.
        high: Value at its end, above ``low``; both are positive on a logarithmic axis.
        ticks: Values with a tick, ascending.
        labels: Their texts, as many.
        log: Whether it is logarithmic.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    log: bool = False

    def share(self, value: float) -> float | None:
        """Where ``value`` lies, from 0 at the beginning to 1 at the end; ``None`` where it has no place (not finite, or not above 0 on a logarithmic axis)."""
        if not math.isfinite(value) or (self.log and value < SMALLEST):
            return None
        low, high, at = (math.log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return min(1.02, max(-0.02, (at - low) / (high - low)))


def linear(values: Sequence[float], most: int = 6, zero: bool = False) -> Axis:
    """A linear axis over the finite ones of ``values`` with at most ``most`` ticks, whole numbers where all values are.

    Args:
        values: What must lie on it.
        most: Ticks at most, at least 2.
        zero: Whether it begins (or ends) at 0.
    """
    found = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(found), max(found)
    if zero:
        low, high = min(0.0, low), max(0.0, high)
    if high - low <= max(1e-12 * max(abs(low), abs(high)), SMALLEST):
        around = abs(high) * 0.1 if abs(high) > SMALLEST else 1.0
        low, high = low - around, high + around
    step = _step((high - low) / (most - 1))
    step = max(1.0, math.ceil(step)) if all(v == int(v) for v in found) and len(set(found)) > 1 else step
    room = 0.04 * (high - low)
    low = low if zero and low == 0 else low - room
    high = high if zero and high == 0 else high + room
    ticks = tuple(i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1))
    return Axis(low, high, ticks, _labels(ticks, step))


def unit() -> Axis:
    """From 0 to 1, a little wider."""
    return Axis(-0.02, 1.02, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), ("0", "0.2", "0.4", "0.6", "0.8", "1"))


def logarithmic(values: Sequence[float], most: int = 6) -> Axis:
    """A logarithmic axis over the positive ones of ``values``: ticks at powers of ten, and at 2 and 5 between few of them."""
    found = [v for v in values if SMALLEST <= v <= 1 / SMALLEST] or [1.0, 10.0]
    low, high = math.log10(min(found)), math.log10(max(found))
    room = max(0.04 * (high - low), 0.02)
    low, high = low - room, high + room
    powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    every = max(1, math.ceil(len(powers) / most))
    ticks = [10.0**p for p in powers if p % every == 0]
    if len(ticks) < 3:
        between = range(math.floor(low), math.ceil(high) + 1)
        ticks = [v for p in between for m in (1, 2, 5) if low <= math.log10(v := m * 10.0**p) <= high]
    if len(ticks) < 2:
        span = linear([10**low, 10**high], 4)
        ticks = [v for v in span.ticks if 10**low <= v <= 10**high]
    return Axis(10**low, 10**high, tuple(ticks), tuple(map(_power, ticks)), log=True)


def _step(least: float) -> float:
    """The smallest round step of at least ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(s * power for s in _STEPS if s * power >= least * (1 - 1e-9))


def _labels(ticks: Sequence[float], step: float) -> tuple[str, ...]:
    if max(map(abs, ticks), default=0.0) >= 1e4:
        return tuple(_trimmed(scaled(v, "")) for v in ticks)
    places = max(0, next((p for p in range(12) if abs(round(step, p) - step) < 1e-9 * step), 12))
    if places > 4:
        digits = next((d for d in range(1, 16) if len({f"{v:.{d}e}" for v in ticks}) == len(ticks)), 16)
        return tuple("0" if abs(v) < step / 2 else f"{v:.{digits}e}".replace("-", MINUS) for v in ticks)
    return tuple("0" if abs(v) < step / 2 else f"{v:.{places}f}".replace("-", MINUS) for v in ticks)


def _power(value: float) -> str:
    """A tick of a logarithmic axis: 10M, 500, 0.001, 10⁻⁸."""
    power = round(math.log10(value))
    if value < 1e-3 and abs(value / 10.0**power - 1) < 1e-6:
        return f"10{str(power).translate(_SUPERSCRIPT)}"
    return f"{value:.0f}" if 1 <= value < 1e4 and value == int(value) else _trimmed(brief(value))


def _trimmed(text: str) -> str:
    """A number with its prefix but without digits that say nothing: 5M for 5.00 M."""
    number, _, prefix = text.partition(" ")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + prefix


def brief(value: float) -> str:
    """A value as a tick or a tip tells it: four digits, an SI prefix from ten thousand on."""
    return scaled(value, "") if abs(value) >= 1e4 else trimmed(value)
