"""The end of a search: candidates measured once more in the order of their ranking until one meets every goal, or the nearest misses."""

from collections.abc import Callable, Sequence
from typing import Final

from efficient360.codesign.budget import Budget
from efficient360.codesign.goal import Goal
from efficient360.codesign.problem import Confirmed, Problem
from efficient360.codesign.result import SearchResult
from efficient360.codesign.search import OnTrial, Sampler, Searched
from efficient360.codesign.trial_log import TrialLog

OnConfirmed = Callable[[Confirmed], None]
MISSES: Final = 3
"""Nearest misses that are confirmed and handed over."""


def finish(problem: Problem, searched: Searched, log: TrialLog, on_confirmed: OnConfirmed = lambda confirmed: None) -> SearchResult:
    """Confirm candidates in the order of their ranking until one meets every goal by its confirmed intervals; where none does, the nearest misses.

    Raises:
        DeviceError: The device is gone; what was confirmed is kept.
    """
    raise NotImplementedError


def find(
    problem: Problem,
    goals: Sequence[Goal],
    budget: Budget,
    log: TrialLog,
    seed: int = 0,
    sampler: Sampler = Sampler.MODEL,
    on_trial: OnTrial = lambda trial: None,
    on_confirmed: OnConfirmed = lambda confirmed: None,
) -> SearchResult:
    """:func:`search` and :func:`finish` in turns: where what the search took for a winner is not confirmed, the search goes on while its budget lasts.

    Raises:
        As both.
    """
    raise NotImplementedError
