"""What proposers see of the trials so far: goals, objectives, and every trial as numbers that are better when lower."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

from efficient360.codesign.front import front
from efficient360.codesign.goal import Goal
from efficient360.codesign.judging import distance, meets_all, shortfall, shortfalls, usable
from efficient360.codesign.problem import Problem
from efficient360.codesign.space import Candidate, Space
from efficient360.codesign.trial import State, Trial
from efficient360.core.measurement import Better, Metric


@final
@dataclass(frozen=True)
class Aims:
    """What a search is after.

    Args:
        goals: What must be met.
        cost: The cost to minimise: the problem's first.
        quality: The quality to improve: the first one that a goal bounds, else the problem's first.
    """

    goals: tuple[Goal, ...]
    cost: Metric
    quality: Metric

    @property
    def side(self) -> tuple[Goal, ...]:
        """Goals on other metrics than the two objectives."""
        return tuple(goal for goal in self.goals if goal.metric.name not in (self.cost.name, self.quality.name))

    @property
    def first(self) -> Metric:
        """The objective to improve once all goals are met: the cost where a goal bounds the quality, else the quality."""
        return self.cost if any(goal.metric.name == self.quality.name for goal in self.goals) else self.quality


def aims(problem: Problem, goals: Sequence[Goal]) -> Aims:
    """What a search of a problem is after."""
    bounded = {goal.metric.name for goal in goals}
    quality = next((metric for metric in problem.quality_metrics if metric.name in bounded), problem.quality_metrics[0])
    return Aims(tuple(goals), problem.cost_metrics[0], quality)


def lowered(metric: Metric, value: float) -> float:
    """A value of a metric, its sign turned where higher is better."""
    return -value if metric.better is Better.HIGHER else value


def coordinate(trial: Trial, metric: Metric) -> float:
    """A trial's value, better when lower; ∞ where it has none."""
    measurement = usable(trial.measured, metric)
    return math.inf if measurement is None else lowered(metric, measurement.value)


def keeps(trial: Trial, goals: Iterable[Goal]) -> bool:
    """Whether a trial's values keep goals."""
    return all(shortfall(goal, trial.measured).value <= 0 for goal in goals)


def front_of(trials: Sequence[Trial], cost: Metric, quality: Metric, side: Sequence[Goal] = ()) -> list[Trial]:
    """The complete trials that no other one beats in cost and quality, cheapest first; among those that keep the side goals, or all where none does."""
    complete = [t for t in trials if t.state is State.COMPLETE and math.isfinite(coordinate(t, cost)) and math.isfinite(coordinate(t, quality))]
    keeping = [t for t in complete if keeps(t, side)] or complete
    points = [(coordinate(t, cost), coordinate(t, quality)) for t in keeping]
    return [keeping[i] for i in front(points)]


def rank_key(trial: Trial, what: Aims) -> tuple[float, ...]:
    """By which trials are ranked, the lowest first: those that meet every goal by their intervals, by the objective that is left to improve; then those whose
    values meet every goal, by how far the intervals reach over; then the others, by how far they are off. What is equal goes by quality, cost and number.
    """
    measured = trial.measured
    values = max(part.value for part in shortfalls(what.goals, measured))
    rest = (coordinate(trial, what.quality), coordinate(trial, what.cost), trial.number)
    if meets_all(what.goals, measured):
        return (0, coordinate(trial, what.first), *rest)
    return (1 if values <= 0 else 2, distance(what.goals, measured), *rest)


def ranked(trials: Iterable[Trial], what: Aims) -> list[Trial]:
    """Trials whose quality was measured, the most promising first."""
    return sorted((t for t in trials if t.state is not State.FAILED and t.quality), key=lambda t: rank_key(t, what))


@final
@dataclass(frozen=True)
class View:
    """What a proposer sees.

    Args:
        space: What may be changed.
        aims: What the search is after.
        trials: So far.
        seed: Of this proposal alone.
    """

    space: Space
    aims: Aims
    trials: tuple[Trial, ...]
    seed: int

    @cached_property
    def tried(self) -> frozenset[Candidate]:
        """Candidates that need no further trial."""
        return frozenset(trial.candidate for trial in self.trials)

    def allows(self, candidate: Candidate) -> bool:
        """Whether a candidate is neither excluded nor tried."""
        return candidate not in self.tried and not self.space.excluded(candidate)
