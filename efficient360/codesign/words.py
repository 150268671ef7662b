"""Candidates, goals and measured values as text, the same in the terminal, on the page and in reasons."""

from collections.abc import Iterable
from typing import Final

from efficient360.codesign.goal import Goal
from efficient360.codesign.judging import usable
from efficient360.codesign.problem import Measured
from efficient360.codesign.space import Candidate, Knob
from efficient360.core import formatting
from efficient360.core.measurement import Better, Interval, Measurement, Metric
from efficient360.reports.names import title

NOTHING: Final = "as it came"
ALWAYS_NAMED: Final = ("runtime", "precision")
"""Knobs whose setting names a candidate also where it is the first."""


def candidate_text(candidate: Candidate, knobs: Iterable[Knob]) -> str:
    """What a candidate is: runtime and precision, then every knob that is turned: ``litert int8-dynamic, 4 blocks dropped``."""
    listed = list(knobs)
    head = [str(candidate.settings[knob.name]) for knob in listed if knob.name in ALWAYS_NAMED and knob.name in candidate.settings]
    turned = [_turned(knob, candidate) for knob in listed if knob.name not in ALWAYS_NAMED and candidate.settings.get(knob.name) != knob.values[0]]
    return ", ".join([" ".join(head), *turned] if head else turned) or NOTHING


def _turned(knob: Knob, candidate: Candidate) -> str:
    value = candidate.settings.get(knob.name)
    name = in_sentence(knob.title)
    return name if value is True else f"{name} {value}"


def in_sentence(name: str) -> str:
    """A title within a sentence: ``Median latency`` is "median latency", ``MLP width`` stays."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def value_text(metric: Metric, value: float) -> str:
    """A value in its metric's unit; of a difference of fractions in percentage points: ``0.8 pt``."""
    if is_difference(metric):
        return f"{round(100 * value, 2) + 0.0:.{1 if abs(value) >= 0.0095 or value == 0 else 2}f} pt".replace("-", formatting.MINUS)
    return formatting.number(value, metric)


def limit_text(metric: Metric, limit: float) -> str:
    """A limit without digits that say nothing: ``5 ms``, ``1 pt``, ``97 %``."""
    text = (
        f"{100 * limit:.10g} pt"
        if is_difference(metric)
        else f"{100 * limit:.10g} %"
        if formatting.is_fraction(metric)
        else formatting.number(limit, metric, 4)
    )
    number, _, unit = text.partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}".rstrip().replace("-", formatting.MINUS)


def is_difference(metric: Metric) -> bool:
    """Whether a metric is a difference of fractions, told in percentage points."""
    return formatting.is_fraction(metric) and metric.low == -1


def interval_text(metric: Metric, interval: Interval | None) -> str:
    """An interval as ``[0.2, 1.4] pt``; empty without one."""
    if interval is None:
        return ""
    if is_difference(metric):
        low, high = (f"{100 * end:.1f}".replace("-", formatting.MINUS) for end in (interval.low, interval.high))
        return f"[{low}, {high}] pt"
    low, high = formatting.both_ends(interval, metric)
    return f"[{low.removesuffix(' %')}, {high}]" if formatting.is_fraction(metric) else f"[{low}, {high}]"


def measurement_text(measurement: Measurement | None) -> str:
    """A measured value with its interval; ``not measured`` without one."""
    if measurement is None:
        return "not measured"
    interval = interval_text(measurement.metric, measurement.interval)
    return f"{value_text(measurement.metric, measurement.value)} {interval}".rstrip()


def measured_text(measured: Measured, metric: Metric) -> str:
    """A metric's value among measurements, with its interval."""
    return measurement_text(usable(measured, metric))


def goal_text(goal: Goal) -> str:
    """A goal as ``Median latency ≤ 5 ms``."""
    return f"{title(goal.metric.name)} {'≤' if goal.metric.better is Better.LOWER else '≥'} {limit_text(goal.metric, goal.limit)}"


def beyond(goal: Goal) -> str:
    """On which side of its limit a goal is missed."""
    return f"{'over' if goal.metric.better is Better.LOWER else 'under'} {limit_text(goal.metric, goal.limit)}"
