"""A search's result as ``result.json``, and read back through its schema."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from efficient360.codesign.budget import Budget, End
from efficient360.codesign.measured_json import (
    Json,
    baseline_from_json,
    baseline_to_json,
    candidate_to_json,
    confirmed_from_json,
    confirmed_to_json,
    failure_from_json,
    goal_from_json,
    goal_to_json,
    knob_from_json,
    knob_to_json,
    measured_from_json,
    measured_to_json,
    metric_from_json,
    metric_to_json,
    outcome_to_json,
)
from efficient360.codesign.problem import Effort
from efficient360.codesign.result import Relaxation, SearchResult
from efficient360.codesign.space import Candidate
from efficient360.codesign.trial import Origin, State, Trial
from efficient360.core.measurement import Better, Scalar
from efficient360.core.reading import Reader
from efficient360.errors import RunError

VERSION: Final = 1
_READER: Final = Reader(RunError, "unreadable-result", "run the search again with the same command: what it measured is kept", "result of a search", 2**28)


def to_json(result: SearchResult) -> Json:
    """The result as plain JSON data."""
    budget = result.budget
    return {
        "schema_version": VERSION,
        "identity": result.identity,
        "seed": result.seed,
        "sampler": result.sampler,
        "goals": [goal_to_json(goal) for goal in result.goals],
        "budget": {"seconds": budget.seconds, "trials": budget.trials, "patience": budget.patience, "keep_going": budget.keep_going},
        "end": result.end.value,
        "knobs": [knob_to_json(knob) for knob in result.knobs],
        "refused": dict(result.refused),
        "metrics": [metric_to_json(metric) for metric in result.metrics],
        "objectives": [metric.name for metric in result.objectives],
        "trials": [trial_to_json(trial) for trial in result.trials],
        "front": list(result.front),
        "ranking": list(result.ranking),
        "confirmed": [confirmed_to_json(confirmed) for confirmed in result.confirmed],
        "baselines": [baseline_to_json(baseline) for baseline in result.baselines],
        "winner": result.winner,
        "misses": list(result.misses),
        "binding": None if result.binding is None else result.binding.metric.name,
        "relaxations": [{"metric": r.goal.metric.name, "limit": r.limit, "trial": r.trial} for r in result.relaxations],
    }


def trial_to_json(trial: Trial) -> Json:
    """A trial as plain JSON data."""
    return {
        "number": trial.number,
        "candidate": candidate_to_json(trial.candidate),
        "origin": trial.origin.value,
        "state": trial.state.value,
        "cost": measured_to_json(trial.cost),
        "quality": measured_to_json(trial.quality),
        "effort": None if trial.effort is None else trial.effort.value,
        "reason": trial.reason,
        "failure": None if trial.failure is None else outcome_to_json(trial.failure),
        "seconds": {kind: round(value, 4) for kind, value in trial.seconds.items()},
    }


def read(path: Path) -> SearchResult:
    """The result in a file.

    Raises:
        RunError: ``unreadable-result``: it can't be read, or is no such result.
    """
    data = _READER.validate(_RESULT, _READER.from_json(_READER.read_bytes(path), path), path)
    try:
        return _result(data)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise _READER.refuse(path, f"is no result of a search: {error}") from error


_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Number = Annotated[int, Field(ge=0)]
_Settings = dict[str, Scalar]


class _Part(BaseModel):
    """A part of the file; what later versions add is left alone."""

    model_config = ConfigDict(extra="ignore")


@final
class _Metric(_Part):
    name: str
    unit: str
    better: Better
    description: str
    source: str
    low: _Finite | None
    high: _Finite | None


@final
class _Goal(_Part):
    metric: _Metric
    limit: _Finite


@final
class _Knob(_Part):
    name: str
    title: str
    values: list[Scalar]
    ordered: bool


@final
class _Budget(_Part):
    seconds: _Finite | None
    trials: int | None
    patience: int
    keep_going: bool


@final
class _Trial(_Part):
    number: _Number
    candidate: _Settings
    origin: Origin
    state: State
    cost: list[dict[str, Any]]
    quality: list[dict[str, Any]]
    effort: Effort | None
    reason: str
    failure: dict[str, Any] | None
    seconds: dict[str, _Finite]


@final
class _Confirmed(_Part):
    candidate: _Settings
    measured: list[dict[str, Any]]
    failure: dict[str, Any] | None
    facts: dict[str, Any]
    speedups: dict[str, dict[str, Any]]


@final
class _Baseline(_Part):
    name: str
    measured: list[dict[str, Any]]
    failure: dict[str, Any] | None


@final
class _Relaxation(_Part):
    metric: str
    limit: _Finite | None
    trial: _Number | None


@final
class _Result(_Part):
    schema_version: Literal[1]
    identity: str
    seed: int
    sampler: str
    goals: list[_Goal]
    budget: _Budget
    end: End
    knobs: list[_Knob]
    refused: dict[str, str]
    metrics: list[_Metric]
    objectives: tuple[str, str]
    trials: list[_Trial]
    front: list[_Number]
    ranking: list[_Number]
    confirmed: list[_Confirmed]
    baselines: list[_Baseline]
    winner: _Number | None
    misses: list[_Number]
    binding: str | None
    relaxations: list[_Relaxation]


_RESULT: Final = TypeAdapter(_Result)


def _result(data: _Result) -> SearchResult:
    goals = {goal.metric.name: goal_from_json(goal.model_dump()) for goal in data.goals}
    metrics = {metric.name: metric_from_json(metric.model_dump()) for metric in data.metrics}
    trials = tuple(map(_trial, data.trials))
    named = [*data.front, *data.ranking, *data.misses, *filter(None, (data.winner, *(r.trial for r in data.relaxations)))]
    if any(trial.number != index for index, trial in enumerate(trials)) or any(number >= len(trials) for number in named):
        raise ValueError("a trial's number is not its place")
    return SearchResult(
        identity=data.identity,
        seed=data.seed,
        sampler=data.sampler,
        goals=tuple(goals.values()),
        budget=Budget(**data.budget.model_dump()),
        end=data.end,
        knobs=tuple(knob_from_json(knob.model_dump()) for knob in data.knobs),
        metrics=tuple(metrics.values()),
        objectives=(metrics[data.objectives[0]], metrics[data.objectives[1]]),
        trials=trials,
        front=tuple(data.front),
        ranking=tuple(data.ranking),
        refused=data.refused,
        confirmed=tuple(confirmed_from_json(confirmed.model_dump()) for confirmed in data.confirmed),
        baselines=tuple(baseline_from_json(baseline.model_dump()) for baseline in data.baselines),
        winner=data.winner,
        misses=tuple(data.misses),
        binding=None if data.binding is None else goals[data.binding],
        relaxations=tuple(Relaxation(goals[r.metric], r.limit, r.trial) for r in data.relaxations),
    )


def _trial(data: _Trial) -> Trial:
    measured: Mapping[str, Any] = {"cost": measured_from_json(data.cost), "quality": measured_from_json(data.quality)}
    failure = failure_from_json(data.failure)
    return Trial(
        data.number,
        Candidate(data.candidate),
        data.origin,
        data.state,
        **measured,
        effort=data.effort,
        reason=data.reason,
        failure=failure,
        seconds=data.seconds,
    )
