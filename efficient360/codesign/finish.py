"""The end of a search: candidates measured once more in the order of their ranking until one meets every goal, or the nearest misses."""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from efficient360.codesign.budget import Budget, End
from efficient360.codesign.goal import Goal
from efficient360.codesign.judging import distance, meets_all
from efficient360.codesign.measuring import Measuring
from efficient360.codesign.problem import Baseline, Confirmed, Measured, Problem
from efficient360.codesign.relaxing import binding, relaxations
from efficient360.codesign.result import SearchResult
from efficient360.codesign.sampler import Sampler
from efficient360.codesign.search import OnTrial, Searched, search, search_key
from efficient360.codesign.space import Candidate
from efficient360.codesign.trial import Trial
from efficient360.codesign.trial_log import TrialLog
from efficient360.codesign.view import front_of, rank_key, ranked

OnConfirmed = Callable[[Confirmed], None]
ATTEMPTS: Final = 5
"""Candidates that an end confirms one after another, at most, to find one that meets every goal."""
MISSES: Final = 3
"""Nearest misses that are confirmed and handed over."""


def finish(problem: Problem, searched: Searched, log: TrialLog, on_confirmed: OnConfirmed = lambda confirmed: None) -> SearchResult:
    """Confirm candidates in the order of their ranking until one meets every goal by its confirmed intervals; where none does, the nearest misses, all in one
    interleaved run.

    Raises:
        DeviceError: The device is gone; what was confirmed is kept.
    """
    ending = _Ending(problem, searched, log, on_confirmed)
    ending.confirm_promising(ATTEMPTS)
    ending.confirm_misses()
    return ending.result()


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
    refuted: set[Candidate] = set()
    told_trials = 0
    told: set[Candidate] = set()

    def new_trial(trial: Trial) -> None:
        nonlocal told_trials
        if trial.number >= told_trials:
            told_trials = trial.number + 1
            on_trial(trial)

    def new_confirmed(confirmed: Confirmed) -> None:
        if confirmed.candidate not in told:
            told.add(confirmed.candidate)
            on_confirmed(confirmed)

    while True:
        searched = search(problem, goals, budget, log, seed, sampler, new_trial, refuted)
        if searched.end is not End.GOALS_MET:
            ending = _Ending(problem, searched, log, new_confirmed, refuted)
            ending.confirm_promising(ATTEMPTS)
            ending.confirm_misses()
            return ending.result()
        ending = _Ending(problem, searched, log, new_confirmed, refuted)
        ending.confirm_promising(ATTEMPTS, met_only=True)
        if ending.winner is not None:
            return ending.result()
        refuted |= ending.refuted


class _Ending:
    """What is confirmed, step by step."""

    def __init__(self, problem: Problem, searched: Searched, log: TrialLog, on_confirmed: OnConfirmed, before: Collection[Candidate] = ()) -> None:
        self._before = frozenset(before)
        self._problem, self._searched, self._on_confirmed = problem, searched, on_confirmed
        key = search_key(problem, searched.goals, searched.seed, searched.sampler)
        self._measuring = Measuring(problem, log, log.read(problem.identity, key))
        self._ranking = ranked(searched.trials, searched.aims)
        self._confirmed: dict[Candidate, Confirmed] = {}
        self._baselines: tuple[Baseline, ...] = ()
        self.winner: Trial | None = None

    @property
    def refuted(self) -> set[Candidate]:
        """Candidates that were confirmed and do not meet the goals."""
        return {candidate for candidate, confirmed in self._confirmed.items() if not self._meets(confirmed.measured)}

    def confirm_promising(self, most: int, met_only: bool = False) -> None:
        """Confirm one after another what met every goal when it was selected, unless ``met_only`` also what may meet them, until one does."""
        classes = (0,) if met_only else (0, 1)
        left = most
        for trial in self._ranking:
            if rank_key(trial, self._searched.aims)[0] not in classes:
                continue
            if trial.candidate not in self._before:  # what an earlier end confirmed is known, and told again
                left -= 1
                if left < 0:
                    continue
            self._confirm([trial])
            if self._meets(self._confirmed[trial.candidate].measured):
                self.winner = trial
                return

    def confirm_misses(self) -> None:
        """Without a winner, confirm the nearest misses together; should one of them turn out to meet every goal, it is the winner."""
        if self.winner is not None:
            return
        nearest = sorted(self._ranking, key=lambda trial: (distance(self._searched.goals, trial.measured), trial.number))
        left = [trial for trial in nearest if trial.candidate not in self._confirmed][:MISSES]
        if left:
            self._confirm(left)
            self.winner = next((trial for trial in left if self._meets(self._confirmed[trial.candidate].measured)), None)

    def _confirm(self, trials: Sequence[Trial]) -> None:
        confirmation = self._measuring.confirm([trial.candidate for trial in trials])
        self._baselines = confirmation.baselines
        for confirmed in confirmation.candidates:
            self._confirmed[confirmed.candidate] = confirmed
            self._on_confirmed(confirmed)

    def _meets(self, measured: Measured) -> bool:
        return meets_all(self._searched.goals, measured)

    def result(self) -> SearchResult:
        """All of it as plain data."""
        searched, space = self._searched, self._problem.space
        goals, what = searched.goals, searched.aims
        misses = self._misses()
        best = {trial.number: self._known(trial) for trial in self._ranking}
        return SearchResult(
            identity=self._problem.identity,
            seed=searched.seed,
            sampler=searched.sampler.value,
            goals=goals,
            budget=searched.budget,
            end=searched.end,
            knobs=space.knobs,
            metrics=(*self._problem.cost_metrics, *self._problem.quality_metrics),
            objectives=(what.cost, what.quality),
            trials=searched.trials,
            front=tuple(trial.number for trial in front_of(searched.trials, what.cost, what.quality, what.side)),
            ranking=tuple(trial.number for trial in self._ranking),
            refused=dict(space.refused),
            confirmed=tuple(self._confirmed.values()),
            baselines=self._baselines,
            winner=None if self.winner is None else self.winner.number,
            misses=tuple(trial.number for trial in misses),
            binding=binding(goals, best[misses[0].number]) if misses else None,
            relaxations=relaxations(goals, list(best.items())) if self.winner is None else (),
        )

    def _known(self, trial: Trial) -> Measured:
        """What is known best of a trial: what was confirmed, else what the search measured."""
        confirmed = self._confirmed.get(trial.candidate)
        return trial.measured if confirmed is None or confirmed.failure is not None else confirmed.measured

    def _misses(self) -> list[Trial]:
        """Nearest confirmed misses."""
        if self.winner is not None:
            return []
        confirmed = [trial for trial in self._ranking if trial.candidate in self._confirmed and self._confirmed[trial.candidate].failure is None]
        return sorted(confirmed, key=lambda trial: (distance(self._searched.goals, self._known(trial)), trial.number))[:MISSES]
