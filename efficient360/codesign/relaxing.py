"""What stands between trials and goals: the goal that binds, and what its giving way would buy."""

import math
from collections.abc import Sequence

from efficient360.codesign.goal import Goal, Verdict
from efficient360.codesign.judging import shortfalls, usable
from efficient360.codesign.problem import Measured
from efficient360.codesign.result import Relaxation
from efficient360.codesign.view import lowered
from efficient360.core.measurement import Measurement


def binding(goals: Sequence[Goal], measured: Measured) -> Goal:
    """The goal that measurements miss by most, by the worse ends of their intervals."""
    return max(shortfalls(goals, measured), key=lambda part: part.worst).goal


def relaxations(goals: Sequence[Goal], trials: Sequence[tuple[int, Measured]]) -> tuple[Relaxation, ...]:
    """For each goal the least giving way at which some trial would meet all of them by its intervals.

    Args:
        goals: All goals.
        trials: Numbers of trials with what was measured of each.
    """
    return tuple(_relaxation(goal, goals, trials) for goal in goals)


def _relaxation(goal: Goal, goals: Sequence[Goal], trials: Sequence[tuple[int, Measured]]) -> Relaxation:
    best: tuple[float, int, float] | None = None
    for number, measured in trials:
        others = shortfalls([other for other in goals if other is not goal], measured)
        measurement = usable(measured, goal.metric)
        if measurement is None or any(part.verdict is not Verdict.MET for part in others):
            continue
        limit = _worse_end(measurement)
        if best is None or (lowered(goal.metric, limit), number) < best[:2]:
            best = (lowered(goal.metric, limit), number, limit)
    return Relaxation(goal, None, None) if best is None else Relaxation(goal, best[2], best[1])


def _worse_end(measurement: Measurement) -> float:
    """The end of a measurement's interval that is farther from good; its value without one."""
    ends = [measurement.value] if measurement.interval is None else [measurement.interval.low, measurement.interval.high]
    return max(ends, key=lambda end: lowered(measurement.metric, end), default=math.inf)
