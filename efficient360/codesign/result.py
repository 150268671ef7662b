"""What a search found, as plain data: every trial, the front, what was confirmed, and what stands in the way where nothing meets the goals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from efficient360.codesign.budget import Budget, End
from efficient360.codesign.goal import Goal
from efficient360.codesign.problem import Baseline, Confirmed
from efficient360.codesign.space import Knob
from efficient360.codesign.trial import Trial
from efficient360.core.measurement import Metric


@final
@dataclass(frozen=True)
class Relaxation:
    """What giving way on one goal alone would buy.

    Args:
        goal: The goal.
        limit: The limit at which the trial would meet every goal; ``None`` where no trial would, however far the goal gave way.
        trial: Number of that trial; ``None`` with ``limit``.
    """

    goal: Goal
    limit: float | None
    trial: int | None


@final
@dataclass(frozen=True)
class SearchResult:
    """The whole of a search.

    Args:
        identity: Digest of all that the trials depend on.
        seed: Of the proposals.
        sampler: Who proposed candidates (``model`` or ``random``).
        goals: What was asked for.
        budget: What the search might use.
        end: Why it ended.
        knobs: The space that was searched.
        refused: Knobs that this model can't have, with the reason of each.
        metrics: Everything measured, costs first.
        objectives: The cost and the quality that the front is drawn over.
        trials: In order; a trial's number is its index.
        front: Numbers of the complete trials that no other one beats in both objectives, among those that keep the goals on other metrics, cheapest first.
        ranking: Numbers of the trials with a measured quality, the most promising first.
        confirmed: What was measured once more, in the order it was.
        baselines: Of the last interleaved run.
        winner: Number of the trial that meets every goal, as confirmed; ``None`` where none does.
        misses: Numbers of the nearest misses, the nearest first, where there is no winner.
        binding: The goal that stands in the way; ``None`` with a winner.
        relaxations: What each goal's giving way would buy.
    """

    identity: str
    seed: int
    sampler: str
    goals: tuple[Goal, ...]
    budget: Budget
    end: End
    knobs: tuple[Knob, ...]
    metrics: tuple[Metric, ...]
    objectives: tuple[Metric, Metric]
    trials: tuple[Trial, ...]
    front: tuple[int, ...]
    ranking: tuple[int, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    confirmed: tuple[Confirmed, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    winner: int | None = None
    misses: tuple[int, ...] = ()
    binding: Goal | None = None
    relaxations: tuple[Relaxation, ...] = ()
