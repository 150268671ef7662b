"""A value drawn in one line: where it lies between its bounds, its interval, and its raw repeats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from efficient360.core.measurement import Measurement

MANY = 200
"""Repeats drawn at most; more would only darken the strip."""


@final
@dataclass(frozen=True)
class Strip:
    """Positions in percent of the strip's width: the value, the ends of its interval, the repeats."""

    value: float
    low: float
    high: float
    samples: Sequence[float]


def strip(m: Measurement) -> Strip | None:
    """The strip of a measurement with an interval or repeats; ``None`` where there is no scale to set it on.

    The scale is the metric's bounds, or from 0 to the largest number at hand for a non-negative metric without an upper bound.
    """
    samples = m.samples[:: max(1, len(m.samples) // MANY)]
    ends = (m.interval.low, m.interval.high) if m.interval else (m.value, m.value)
    if m.interval is None and not samples:
        return None
    numbers = (m.value, *ends, *samples)
    low = 0.0 if m.metric.low is None and min(numbers) >= 0 else m.metric.low
    high = max(numbers) * 1.05 if m.metric.high is None else m.metric.high
    if low is None or high <= low:
        return None
    place = [100 * min(1.0, max(0.0, (v - low) / (high - low))) for v in numbers]
    return Strip(place[0], place[1], place[2], place[3:])
