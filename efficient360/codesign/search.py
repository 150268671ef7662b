"""The search over a problem: who is proposed, who is judged, and when it ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from efficient360.codesign.budget import Budget, End
from efficient360.codesign.goal import Goal
from efficient360.codesign.problem import Problem
from efficient360.codesign.trial import Trial
from efficient360.codesign.trial_log import TrialLog

OnTrial = Callable[[Trial], None]


class Sampler(StrEnum):
    """Who proposes candidates."""

    MODEL = "model"
    """The original in each runtime, single steps, then what a model of the trials proposes, in turns with neighbours of the best."""
    RANDOM = "random"
    """Candidates drawn at random: what a search has to beat."""


@final
@dataclass(frozen=True)
class Searched:
    """Trials of a search, before anything is confirmed.

    Args:
        goals: What was asked for.
        budget: What the search might use.
        seed: Of the proposals.
        sampler: Who proposed candidates.
        trials: In order; a trial's number is its index.
        end: Why the search ended.
    """

    goals: tuple[Goal, ...]
    budget: Budget
    seed: int
    sampler: Sampler
    trials: tuple[Trial, ...]
    end: End


def search(
    problem: Problem,
    goals: Sequence[Goal],
    budget: Budget,
    log: TrialLog,
    seed: int = 0,
    sampler: Sampler = Sampler.MODEL,
    on_trial: OnTrial = lambda trial: None,
) -> Searched:
    """Try candidates until goals, plateau or budget end it. What ``log`` holds of this problem is never measured again.

    Args:
        problem: What is searched.
        goals: At least one, on the problem's metrics.
        budget: What the search may use.
        log: Where every measurement is kept as soon as it is made. After a kill the same call goes on: same trials, same ranking.
        seed: Of the proposals.
        sampler: Who proposes candidates.
        on_trial: Told of every trial, those that the log holds included.

    Raises:
        DeviceError: The device is gone; the log keeps all trials.
        SettingsError: No goal, or one on a metric that the problem does not measure.
        RunError: The log can't be read or written.
    """
    raise NotImplementedError
