"""How far a candidate is from the goals, as far as its measurements say, and when it is hopeless."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.codesign.goal import Goal, Verdict
from efficient360.codesign.problem import Measured
from efficient360.core.formatting import is_fraction
from efficient360.core.measurement import Better, Measurement, Metric

POINT: Final = 0.01
"""A percentage point: the least step by which shortfalls of fractions are told."""


def usable(measured: Measured, metric: Metric) -> Measurement | None:
    """The measurement of a metric; ``None`` where there is none, or it calls itself void."""
    measurement = measured.get(metric.name)
    return None if measurement is None or measurement.void else measurement


def excess(goal: Goal, value: float) -> float:
    """By how much a value misses a goal, in shares of its limit; 0 or below where it meets it.

    Of fractions the share is one of the loss that the goal allows (``1 − limit`` where higher is better), a percentage point at least: 2 points lost where one
    is allowed is as far off as 10 ms where 5 are.
    """
    if is_fraction(goal.metric):
        allowed = goal.limit if goal.metric.better is Better.LOWER else 1 - goal.limit
        return goal.violation(value) / max(abs(allowed), POINT)
    return goal.violation(value) / (abs(goal.limit) or 1.0)


def _ends(measurement: Measurement) -> tuple[float, float]:
    interval = measurement.interval
    return (measurement.value, measurement.value) if interval is None else (interval.low, interval.high)


@final
@dataclass(frozen=True)
class Shortfall:
    """How far measurements are from a goal, see :func:`excess`.

    Args:
        goal: The goal.
        best: At the better end of the interval; −∞ where nothing was measured yet.
        value: At the measured value; ∞ where there is none.
        worst: At the worse end of the interval; ∞ where nothing was measured.
    """

    goal: Goal
    best: float
    value: float
    worst: float

    @property
    def verdict(self) -> Verdict:
        """Met or missed only where the whole interval says so."""
        return Verdict.MET if self.worst <= 0 else Verdict.MISSED if self.best > 0 else Verdict.UNDECIDED


def shortfall(goal: Goal, measured: Measured) -> Shortfall:
    """How far measurements are from a goal."""
    measurement = usable(measured, goal.metric)
    if measurement is None:
        return Shortfall(goal, -math.inf, math.inf, math.inf)
    ends = sorted(excess(goal, end) for end in _ends(measurement))
    return Shortfall(goal, ends[0], excess(goal, measurement.value), ends[1])


def shortfalls(goals: Iterable[Goal], measured: Measured) -> list[Shortfall]:
    """How far measurements are from each goal."""
    return [shortfall(goal, measured) for goal in goals]


def meets_all(goals: Sequence[Goal], measured: Measured) -> bool:
    """Whether every goal is met by the whole of its interval."""
    return all(part.verdict is Verdict.MET for part in shortfalls(goals, measured))


def distance(goals: Sequence[Goal], measured: Measured) -> float:
    """How far from the goals a candidate surely is at most: the largest shortfall by the worse ends; 0 or below where all are met."""
    return max(part.worst for part in shortfalls(goals, measured))


@final
@dataclass(frozen=True)
class Bar:
    """What a candidate has to be able to beat to be worth judging further.

    Args:
        nearest: Least :func:`distance` of a judged candidate; ∞ without one.
        at: Which of them that is; −1 without one.
        alone: For each goal the least that it alone would have to give way, all others being met; ∞ where no judged candidate meets the others.
    """

    nearest: float
    at: int
    alone: tuple[float, ...]


def bar(goals: Sequence[Goal], judged: Iterable[Measured]) -> Bar:
    """The bar that judged candidates set."""
    nearest, at, alone = math.inf, -1, [math.inf] * len(goals)
    for index, measured in enumerate(judged):
        parts = [part.worst for part in shortfalls(goals, measured)]
        if max(parts) < nearest:
            nearest, at = max(parts), index
        for i, part in enumerate(parts):
            if all(other <= 0 for j, other in enumerate(parts) if j != i):
                alone[i] = min(alone[i], part)
    return Bar(nearest, at, tuple(alone))


def hopeless(goals: Sequence[Goal], measured: Measured, before: Bar) -> Goal | None:
    """The goal that a candidate misses so far that, whatever it is still to be measured for, it comes no nearer to the goals than another, nor would any
    goal have to give way less; ``None`` while there is hope.
    """
    parts = shortfalls(goals, measured)
    worst = max(parts, key=lambda part: part.best)
    if worst.best <= 0 or worst.best < before.nearest:
        return None
    missed = [i for i, part in enumerate(parts) if part.best > 0]
    if before.nearest > 0 and len(missed) == 1 and parts[missed[0]].best < before.alone[missed[0]]:
        return None
    return worst.goal
