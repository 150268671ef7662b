"""Measurements, failures, candidates and confirmations as JSON, and read back through their schemas."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from efficient360.codesign.goal import Goal
from efficient360.codesign.problem import Baseline, Confirmation, Confirmed, Measured
from efficient360.codesign.space import Candidate, Knob
from efficient360.core.measurement import Better, Failure, Measurement, Metric, Outcome, Unit
from efficient360.core.outcome import Record, from_json, to_json
from efficient360.core.plain import plain

Json = dict[str, Any]
_EVALUATOR: Final = "codesign"
_ALWAYS_THE_SAME: Final = ("evaluator", "key", "part", "settings", "seconds")
_REST: Final[Json] = {"evaluator": _EVALUATOR, "key": "", "part": [0, 1], "settings": {}, "seconds": 0.0}


def outcome_to_json(outcome: Outcome) -> Json:
    """A measurement or failure as in ``report.json``, without what says which evaluator it is from."""
    return {key: value for key, value in to_json(Record(_EVALUATOR, outcome)).items() if key not in _ALWAYS_THE_SAME}


def outcome_from_json(data: Mapping[str, Any]) -> Outcome:
    """What :func:`outcome_to_json` wrote.

    Raises:
        ValueError: It is no such thing.
    """
    return from_json({**_REST, **data}).outcome


def measured_to_json(measured: Measured) -> list[Json]:
    """Measurements as a list."""
    return [outcome_to_json(measurement) for measurement in measured.values()]


def measured_from_json(data: Sequence[Mapping[str, Any]]) -> Measured:
    """What :func:`measured_to_json` wrote.

    Raises:
        ValueError: It is no such thing.
    """
    measurements = [outcome_from_json(item) for item in data]
    if not all(isinstance(item, Measurement) for item in measurements):
        raise ValueError("a failure stands among measurements")
    return {item.metric.name: item for item in measurements if isinstance(item, Measurement)}


def failure_from_json(data: Mapping[str, Any] | None) -> Failure | None:
    """A failure; ``None`` of nothing.

    Raises:
        ValueError: It is no failure.
    """
    if data is None:
        return None
    failure = outcome_from_json(data)
    if not isinstance(failure, Failure):
        raise ValueError("a measurement stands in a failure's place")
    return failure


def metric_to_json(metric: Metric) -> Json:
    """A metric's identity."""
    names = {"name": metric.name, "unit": str(metric.unit), "better": metric.better.value, "description": metric.description, "source": metric.source}
    return {**names, "low": metric.low, "high": metric.high}


def metric_from_json(data: Mapping[str, Any]) -> Metric:
    """What :func:`metric_to_json` wrote."""
    return Metric(data["name"], Unit(data["unit"]), Better(data["better"]), data["description"], data["source"], data["low"], data["high"])


def goal_to_json(goal: Goal) -> Json:
    """A goal with its metric."""
    return {"metric": metric_to_json(goal.metric), "limit": goal.limit}


def goal_from_json(data: Mapping[str, Any]) -> Goal:
    """What :func:`goal_to_json` wrote."""
    return Goal(metric_from_json(data["metric"]), float(data["limit"]))


def candidate_to_json(candidate: Candidate) -> Json:
    """A candidate's settings, by name of the knob."""
    return dict(candidate.settings)


def knob_to_json(knob: Knob) -> Json:
    """A knob."""
    return {"name": knob.name, "title": knob.title, "values": list(knob.values), "ordered": knob.ordered}


def knob_from_json(data: Mapping[str, Any]) -> Knob:
    """What :func:`knob_to_json` wrote."""
    return Knob(data["name"], data["title"], tuple(data["values"]), data["ordered"])


def confirmation_to_json(confirmation: Confirmation) -> Json:
    """An interleaved run."""
    return {
        "candidates": [confirmed_to_json(confirmed) for confirmed in confirmation.candidates],
        "baselines": [baseline_to_json(baseline) for baseline in confirmation.baselines],
    }


def confirmation_from_json(data: Mapping[str, Any]) -> Confirmation:
    """What :func:`confirmation_to_json` wrote.

    Raises:
        ValueError: It is no such thing.
    """
    return Confirmation(tuple(map(confirmed_from_json, data["candidates"])), tuple(map(baseline_from_json, data["baselines"])))


def confirmed_to_json(confirmed: Confirmed) -> Json:
    """A candidate as confirmed."""
    return {
        "candidate": candidate_to_json(confirmed.candidate),
        "measured": measured_to_json(confirmed.measured),
        "failure": None if confirmed.failure is None else outcome_to_json(confirmed.failure),
        "facts": plain(confirmed.facts),
        "speedups": {name: outcome_to_json(speedup) for name, speedup in confirmed.speedups.items()},
    }


def confirmed_from_json(data: Mapping[str, Any]) -> Confirmed:
    """What :func:`confirmed_to_json` wrote.

    Raises:
        ValueError: It is no such thing.
    """
    speedups = {name: speedup for name, item in data["speedups"].items() if isinstance(speedup := outcome_from_json(item), Measurement)}
    return Confirmed(Candidate(data["candidate"]), measured_from_json(data["measured"]), failure_from_json(data["failure"]), data["facts"], speedups)


def baseline_to_json(baseline: Baseline) -> Json:
    """A baseline."""
    failure = None if baseline.failure is None else outcome_to_json(baseline.failure)
    return {"name": baseline.name, "measured": measured_to_json(baseline.measured), "failure": failure}


def baseline_from_json(data: Mapping[str, Any]) -> Baseline:
    """What :func:`baseline_to_json` wrote.

    Raises:
        ValueError: It is no such thing.
    """
    return Baseline(data["name"], measured_from_json(data["measured"]), failure_from_json(data["failure"]))
