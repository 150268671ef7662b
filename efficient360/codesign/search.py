"""The search over a problem: candidates are proposed, tried, and kept, until goals, plateau or budget end it."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, final

from efficient360.codesign.budget import Budget, End
from efficient360.codesign.goal import Goal
from efficient360.codesign.goals import merge_goals
from efficient360.codesign.judging import meets_all
from efficient360.codesign.measured_json import goal_to_json, knob_to_json
from efficient360.codesign.measuring import Measuring
from efficient360.codesign.problem import Problem
from efficient360.codesign.progress import is_plateau
from efficient360.codesign.proposing import propose
from efficient360.codesign.sampler import Sampler
from efficient360.codesign.space import Candidate, Space
from efficient360.codesign.trial import Origin, State, Trial
from efficient360.codesign.trial_log import Known, Proposal, TrialLog
from efficient360.codesign.trying import attempt
from efficient360.codesign.view import Aims, aims
from efficient360.core import canonical
from efficient360.core.close_names import did_you_mean
from efficient360.errors import SettingsError

OnTrial = Callable[[Trial], None]


@final
@dataclass(frozen=True)
class Searched:
    """Trials of a search, before anything is confirmed.

    Args:
        goals: What was asked for.
        budget: What the search might use.
        seed: Of the proposals.
        sampler: Who proposed candidates.
        aims: What the search was after.
        trials: In order; a trial's number is its index.
        end: Why the search ended.
    """

    goals: tuple[Goal, ...]
    budget: Budget
    seed: int
    sampler: Sampler
    aims: Aims
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
    refuted: Collection[Candidate] = (),
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
        refuted: Candidates that met the goals once and did not when they were measured again: they end no search.

    Raises:
        DeviceError: The device is gone; the log keeps all trials.
        SettingsError: ``no-goals``; ``unknown-metric``: a goal on what the problem does not measure.
        RunError: The log can't be read or written.
    """
    wanted = _checked(goals, problem)
    what = aims(problem, wanted)
    key = search_key(problem, wanted, seed, sampler)
    known = log.read(problem.identity, key)
    if known.earlier is None:
        measured = [candidate for candidate in known.costs if _within(candidate, problem.space)]
        settled = [candidate for candidate in measured if known.is_settled(candidate)]
        known.earlier, known.settled = settled + [candidate for candidate in measured if candidate not in settled], len(settled)
        settings = {"goals": [goal_to_json(goal) for goal in wanted], "seed": seed, "sampler": sampler.value}
        log.begin(problem.identity, key, settings, known.earlier, known.settled)
    measuring = Measuring(problem, log, known)
    trials: list[Trial] = []

    def taken(proposal: Proposal) -> None:
        trials.append(attempt(proposal, measuring, what, trials))
        on_trial(trials[-1])

    for index, candidate in enumerate(known.earlier):
        if index >= known.settled and _end(trials, what, budget, refuted) is not None:
            break
        taken(Proposal(candidate, Origin.EARLIER, 0.0))
    proposals = _Proposals(problem, log, key, known, what, sampler, budget, seed)
    while (end := _end(trials, what, budget, refuted)) is None:
        if (proposal := proposals.next(trials)) is None:
            end = End.EXHAUSTED
            break
        taken(proposal)
    return Searched(wanted, budget, seed, sampler, what, tuple(trials), end)


def search_key(problem: Problem, goals: Sequence[Goal], seed: int, sampler: Sampler) -> str:
    """Digest of all that proposals depend on."""
    space: list[Any] = [knob_to_json(knob) for knob in problem.space.knobs]
    return canonical.digest([problem.identity, [[g.metric.name, g.limit] for g in goals], seed, sampler.value, space], "a search")


def _checked(goals: Sequence[Goal], problem: Problem) -> tuple[Goal, ...]:
    metrics = [metric.name for metric in (*problem.cost_metrics, *problem.quality_metrics)]
    if not goals:
        raise SettingsError("no-goals", "a search needs a goal", f"give one or more bounds on {', '.join(metrics)}")
    for goal in goals:
        if goal.metric.name not in metrics:
            raise SettingsError("unknown-metric", f"{goal.metric.name} is nothing that a goal can bound here", did_you_mean(goal.metric.name, metrics))
    return merge_goals(goals)


def _within(candidate: Candidate, space: Space) -> bool:
    """Whether a candidate of an earlier search stands in this space."""
    if set(candidate.settings) != {knob.name for knob in space.knobs}:
        return False
    return all(candidate[knob.name] in knob.values for knob in space.knobs) and not space.excluded(candidate)


def _end(trials: Sequence[Trial], what: Aims, budget: Budget, refuted: Collection[Candidate]) -> End | None:
    """Why a search ends here; ``None`` while it goes on."""
    if not budget.keep_going and any(t.state is State.COMPLETE and t.candidate not in refuted and meets_all(what.goals, t.measured) for t in trials):
        return End.GOALS_MET
    own = [trial for trial in trials if trial.origin is not Origin.EARLIER]
    if budget.trials is not None and len(own) >= budget.trials:
        return End.TRIALS
    if budget.seconds is not None and sum(sum(trial.seconds.values()) for trial in own) >= budget.seconds:
        return End.TIME
    return End.PLATEAU if is_plateau(trials, what, budget.patience) else None


@final
class _Proposals:
    """What a search tries, first what its log says that it decided."""

    def __init__(self, problem: Problem, log: TrialLog, key: str, known: Known, what: Aims, sampler: Sampler, budget: Budget, seed: int) -> None:
        self._problem, self._log, self._key, self._known = problem, log, key, known
        self._what, self._sampler, self._budget, self._seed = what, sampler, budget, seed
        self._taken = 0

    def next(self, trials: Sequence[Trial]) -> Proposal | None:
        if self._taken == len(self._known.proposals):
            begun = time.monotonic()
            chosen = propose(self._sampler, self._problem.space, self._what, tuple(trials), self._budget, self._seed)
            if chosen is None:
                return None
            proposal = Proposal(*chosen, round(time.monotonic() - begun, 4))
            self._log.propose(self._problem.identity, self._key, self._taken, proposal)
            self._known.proposals.append(proposal)
        self._taken += 1
        return self._known.proposals[self._taken - 1]
