"""A search's result as one self-contained HTML page: the goals, the front, what was chosen and why, and why all others were not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final
from urllib.parse import quote

from markupsafe import Markup

from efficient360.codesign import telling
from efficient360.codesign.chart import panels
from efficient360.codesign.judging import usable
from efficient360.codesign.problem import Measured
from efficient360.codesign.result import SearchResult
from efficient360.codesign.trial import State
from efficient360.codesign.words import goal_text, interval_text, value_text
from efficient360.core import formatting
from efficient360.core.measurement import Failure
from efficient360.reports import page
from efficient360.reports.drawing.svg import inline
from efficient360.reports.names import title

PACKAGE = "efficient360.codesign"


@final
@dataclass(frozen=True)
class Subject:
    """What was searched for whom.

    Args:
        name: Of the checkpoint or module.
        facts: Device, data and the like, each in a few words.
        command: That repeats the search; empty to leave it out.
        files: Texts with addresses beside the page, such as the artefact's folder.
    """

    name: str
    facts: tuple[str, ...] = ()
    command: str = ""
    files: tuple[tuple[str, str], ...] = ()


@final
@dataclass(frozen=True)
class Row:
    """A trial in a table.

    Args:
        number: As shown, from 1.
        name: Its candidate.
        values: Of every metric: value and interval.
        note: Why it was rejected, or what it misses.
        chosen: Whether it is the winner.
    """

    number: int
    name: str
    values: Sequence[tuple[str, str]]
    note: str = ""
    chosen: bool = False


def render(result: SearchResult, subject: Subject) -> str:
    """The page. It makes no requests, all text is escaped, and all of it can be read without scripts."""
    shown = result.winner if result.winner is not None else next(iter(result.misses), None)
    confirmed = None if shown is None else telling.confirmed_of(result, shown)
    scripts = (page.script("efficient360.reports", "report.js"),)
    side = [goal_text(goal) for goal in result.goals if goal.metric.name not in {metric.name for metric in result.objectives}]
    files = tuple((text, quote(address)) for text, address in subject.files)
    return (
        page.environment(PACKAGE)
        .get_template("codesign.html.j2")
        .render(
            subject=Subject(subject.name, subject.facts, subject.command, files),
            headline=telling.headline(result),
            counts=telling.counts(result),
            end=telling.ENDS[result.end],
            chosen=result.winner is not None,
            goals=[goal_text(goal) for goal in result.goals],
            goal_rows=[] if shown is None else telling.goal_rows(result, shown),
            baseline_names=[baseline.name for baseline in result.baselines],
            speedups=[] if confirmed is None or not confirmed.speedups else [_speedup(confirmed.speedups, baseline.name) for baseline in result.baselines],
            why=telling.why_chosen(result),
            binding="" if result.binding is None else goal_text(result.binding),
            relaxations=[telling.relaxation_text(result, relaxation) for relaxation in result.relaxations],
            panels=[{"title": panel.title, "note": panel.note, "svg": Markup(inline(panel.drawing))} for panel in panels(result)],
            objectives=formatting.listed([title(metric.name) for metric in result.objectives]),
            side=f", among those that keep {formatting.listed(side)} or all where none does" if side else "",
            metrics=[title(metric.name) for metric in result.metrics],
            misses=[_row(result, number, telling.best_known(result, number), telling.missed_text(result, number)) for number in result.misses],
            front=[_row(result, number, result.trials[number].measured) for number in result.front],
            confirmed=_confirmed(result),
            failures=_failures(result),
            rejected=[_row(result, trial.number, trial.measured, reason) for trial, reason in telling.rejected(result)],
            pace=telling.pace(result),
            knobs=[(knob.title, ", ".join(map(str, knob.values))) for knob in result.knobs],
            size=formatting.count(_size(result)),
            refused=list(result.refused.items()),
            settings=page.rows(_settings(result)),
            facts=_facts(result),
            scripts=scripts,
            policy=page.policy(*scripts),
        )
    )


def _row(result: SearchResult, number: int, measured: Measured, note: str = "") -> Row:
    return Row(number + 1, telling.name_of(result, number), _values(result, measured), note, number == result.winner)


def _values(result: SearchResult, measured: Measured) -> list[tuple[str, str]]:
    found = [usable(measured, metric) for metric in result.metrics]
    return [("–", "") if m is None else (value_text(m.metric, m.value), interval_text(m.metric, m.interval)) for m in found]


def _speedup(speedups: Measured, name: str) -> str:
    return telling.speedup_text(speedups[name]) if name in speedups else "–"


def _confirmed(result: SearchResult) -> list[Row]:
    numbers = {trial.candidate: trial.number for trial in result.trials}
    rows = []
    for confirmed in result.confirmed:
        number = numbers[confirmed.candidate]
        note = confirmed.failure.message if confirmed.failure is not None else telling.missed_text(result, number) or "meets every goal"
        rows.append(_row(result, number, confirmed.measured, note))
    return rows


def _failures(result: SearchResult) -> list[tuple[int, Failure]]:
    """Failures by code and message, the most frequent first."""
    found: dict[tuple[str, str], list[Failure]] = {}
    for trial in result.trials:
        if trial.state is State.FAILED and trial.failure is not None:
            found.setdefault((trial.failure.code, trial.failure.message), []).append(trial.failure)
    return sorted(((len(same), same[0]) for same in found.values()), key=lambda item: -item[0])


def _size(result: SearchResult) -> int:
    size = 1
    for knob in result.knobs:
        size *= len(knob.values)
    return size


def _settings(result: SearchResult) -> Mapping[str, Any]:
    budget = result.budget
    return {
        "sampler": result.sampler,
        "seed": result.seed,
        "time_budget": "none" if budget.seconds is None else formatting.duration(budget.seconds),
        "trials_at_most": budget.trials or "any number",
        "plateau_after_trials": budget.patience,
        "goes_on_when_goals_are_met": budget.keep_going,
        "proposed_by": {str(origin): n for origin in dict.fromkeys(t.origin for t in result.trials) if (n := sum(t.origin is origin for t in result.trials))},
        "identity": result.identity,
    }


def _facts(result: SearchResult) -> list[tuple[str, Any]]:
    """What was told of each confirmed candidate."""
    numbers = {trial.candidate: trial.number for trial in result.trials}
    return [
        (f"Trial {numbers[confirmed.candidate] + 1}: {telling.name_of(result, numbers[confirmed.candidate])}", page.rows(confirmed.facts))
        for confirmed in result.confirmed
        if confirmed.facts
    ]
