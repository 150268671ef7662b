"""What a search found, in sentences and table cells that the page and the terminal share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from efficient360.codesign.budget import End
from efficient360.codesign.goal import Goal, Verdict
from efficient360.codesign.judging import shortfall, usable
from efficient360.codesign.problem import Confirmed, Measured
from efficient360.codesign.result import Relaxation, SearchResult
from efficient360.codesign.trial import State, Trial
from efficient360.codesign.trial_log import spent
from efficient360.codesign.words import candidate_text, goal_text, in_sentence, limit_text, measured_text, measurement_text, value_text
from efficient360.core import formatting
from efficient360.core.measurement import Better, Measurement
from efficient360.reports.names import title

VERDICTS: Mapping[Verdict, str] = {Verdict.MET: "met", Verdict.MISSED: "missed", Verdict.UNDECIDED: "undecided"}
ENDS: Mapping[End, str] = {
    End.GOALS_MET: "the goals were met",
    End.PLATEAU: "nothing better was found for long",
    End.TRIALS: "the trials were used up",
    End.TIME: "the time was used up",
    End.EXHAUSTED: "every candidate was tried",
}


def confirmed_of(result: SearchResult, number: int) -> Confirmed | None:
    """What was measured again of a trial."""
    candidate = result.trials[number].candidate
    return next((confirmed for confirmed in result.confirmed if confirmed.candidate == candidate), None)


def best_known(result: SearchResult, number: int) -> Measured:
    """What was measured again of a trial, else what the search measured."""
    confirmed = confirmed_of(result, number)
    return result.trials[number].measured if confirmed is None or confirmed.failure is not None else confirmed.measured


def name_of(result: SearchResult, number: int) -> str:
    """A trial's candidate in words."""
    return candidate_text(result.trials[number].candidate, result.knobs)


def headline(result: SearchResult) -> str:
    """The verdict in a sentence."""
    if result.winner is not None:
        told = f"Goals met: {name_of(result, result.winner)}"
        speed = fastest_speedup(result, result.winner)
        return f"{told}, {speed}." if speed else f"{told}."
    if not result.misses:
        return "Goals not met, and no candidate could be measured to the end."
    nearest = result.misses[0]
    told = f"Goals not met. Nearest: {name_of(result, nearest)}"
    return f"{told}; {missed_text(result, nearest)}." if result.binding is not None else f"{told}."


def missed_text(result: SearchResult, number: int) -> str:
    """Which goals a trial misses or may miss: ``Median latency 6.2 ms [6.1, 6.3 ms] misses ≤ 5 ms``."""
    told, measured = [], best_known(result, number)
    for goal in result.goals:
        verdict = verdict_of(goal, measured)
        if verdict is not Verdict.MET:
            how = "misses" if verdict is Verdict.MISSED else "is not sure to meet"
            limit = f"{'≤' if goal.metric.better is Better.LOWER else '≥'} {limit_text(goal.metric, goal.limit)}"
            told.append(f"{in_sentence(title(goal.metric.name))} {measured_text(measured, goal.metric)} {how} {limit}")
    return formatting.listed(told)


def verdict_of(goal: Goal, measured: Measured) -> Verdict:
    """Whether measurements meet a goal; undecided without a usable one."""
    return shortfall(goal, measured).verdict


def fastest_speedup(result: SearchResult, number: int) -> str:
    """How many times as fast as the first baseline: ``5.6× as fast as LiteRT fp32 [5.4, 5.8]``; empty where it was not measured."""
    confirmed = confirmed_of(result, number)
    if confirmed is None or not confirmed.speedups:
        return ""
    name, speedup = next(iter(confirmed.speedups.items()))
    return f"{speedup_text(speedup)} as fast as {name}"


def speedup_text(speedup: Measurement) -> str:
    """A ratio with its interval: ``5.61× [5.50, 5.72]``."""
    interval = "" if speedup.interval is None else f" [{speedup.interval.low:.2f}, {speedup.interval.high:.2f}]"
    return f"{speedup.value:.2f}×{interval}"


def relaxation_text(result: SearchResult, relaxation: Relaxation) -> str:
    """What one goal's giving way would buy: ``at 6.2 ms instead of 5 ms: openvino int8, input size 192 (trial 12)``."""
    metric, goal = relaxation.goal.metric, relaxation.goal
    if relaxation.limit is None or relaxation.trial is None:
        return f"{title(metric.name)} alone: no trial meets all the other goals, however far this one gave way"
    if goal.violation(relaxation.limit) <= 0:
        return f"{title(metric.name)} {limit_text(metric, goal.limit)} did not stand in the way"
    limit = value_text(metric, relaxation.limit)
    return f"{title(metric.name)} at {limit} instead of {limit_text(metric, goal.limit)}: {name_of(result, relaxation.trial)} (trial {relaxation.trial + 1})"


def why_chosen(result: SearchResult) -> list[str]:
    """Why the winner is the one, in sentences."""
    if result.winner is None:
        return []
    cost, quality = result.objectives
    bounded = any(goal.metric.name == quality.name for goal in result.goals)
    first = cost if bounded else quality
    told = ["It meets every goal by the whole of its interval, measured again in turns with the baselines on examples that the search never saw."]
    tried = [confirmed for confirmed in result.confirmed if confirmed.candidate != result.trials[result.winner].candidate]
    told.append(f"Candidates that met the goals while searching were measured again in order of their {in_sentence(title(first.name))}, the best first.")
    if tried:
        told.append(f"{formatting.counted(len(tried), 'candidate')} before it met the goals while searching, but not when measured again.")
    selected = measured_text(result.trials[result.winner].measured, first)
    told.append(
        f"While searching its {in_sentence(title(first.name))} was {selected}; measured again it is {measured_text(best_known(result, result.winner), first)}."
    )
    if result.end is End.GOALS_MET:
        told.append("The search ended when the goals were met: with --keep-going it looks for a better one.")
    return told


def rejected(result: SearchResult) -> list[tuple[Trial, str]]:
    """Trials that are neither on the front nor chosen, each with the reason."""
    kept = {*result.front, *result.misses, *(() if result.winner is None else (result.winner,))}
    return [(trial, trial.reason or _beaten(result, trial)) for trial in result.trials if trial.number not in kept]


def _beaten(result: SearchResult, trial: Trial) -> str:
    """Which trial of the front beats a complete one."""
    cost, quality = result.objectives
    here = [usable(trial.measured, metric) for metric in (cost, quality)]
    for number in result.front:
        there = [usable(result.trials[number].measured, metric) for metric in (cost, quality)]
        if all(a is not None and b is not None and _no_worse(b, a) for a, b in zip(here, there, strict=True)):
            return f"trial {number + 1} is at least as good in {in_sentence(title(cost.name))} and {in_sentence(title(quality.name))}"
    missed = [goal for goal in result.goals if verdict_of(goal, trial.measured) is not Verdict.MET]
    return f"misses {formatting.listed([goal_text(goal) for goal in missed])}" if missed else ""


def _no_worse(a: Measurement, b: Measurement) -> bool:
    return a.value >= b.value if a.metric.better is Better.HIGHER else a.value <= b.value


def seconds_by_kind(result: SearchResult) -> list[tuple[str, float]]:
    """Time by kind of work, the longest first."""
    total = spent(trial.seconds for trial in result.trials)
    return sorted(total.items(), key=lambda item: -item[1])


def pace(result: SearchResult) -> str:
    """Trials a minute and the share of time that went into what."""
    seconds = sum(value for _, value in seconds_by_kind(result))
    if not seconds:
        return formatting.counted(len(result.trials), "trial")
    shares = ", ".join(f"{kind} {100 * value / seconds:.0f} %" for kind, value in seconds_by_kind(result) if value >= 0.005 * seconds)
    return f"{formatting.counted(len(result.trials), 'trial')} in {formatting.duration(seconds)}, {60 * len(result.trials) / seconds:.3g} a minute ({shares})"


def counts(result: SearchResult) -> str:
    """How many trials came how far."""
    told = [(state, sum(trial.state is state for trial in result.trials)) for state in State]
    words = {State.COMPLETE: "judged in full", State.DROPPED: "dropped early", State.FAILED: "failed"}
    return ", ".join(f"{n} {words[state]}" for state, n in told if n)


@final
@dataclass(frozen=True)
class GoalRow:
    """A goal, what the chosen candidate reaches, and each baseline's value."""

    goal: str
    value: str
    verdict: str
    baselines: Sequence[str]


def goal_rows(result: SearchResult, number: int) -> list[GoalRow]:
    """Every goal beside a trial and the baselines."""
    measured = best_known(result, number)
    return [
        GoalRow(
            goal_text(goal),
            measured_text(measured, goal.metric),
            "not measured" if usable(measured, goal.metric) is None else VERDICTS[verdict_of(goal, measured)],
            [measurement_text(usable(baseline.measured, goal.metric)) for baseline in result.baselines],
        )
        for goal in result.goals
    ]
