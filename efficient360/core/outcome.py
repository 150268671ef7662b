"""An outcome with where it came from, and its JSON form: one self-contained line that other programs read."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from efficient360.core.figures import FIGURES, Figure, Picture, Series
from efficient360.core.measurement import LEVEL, Better, Failure, Interval, Measurement, Metric, Outcome, Status, Unit

Json = dict[str, Any]
EXACT, NO_INTERVAL = "exact", "none"
"""The interval method of a value without an interval: exact, or one that a rerun would change."""
WITHOUT_LEVEL = ("range", "lanczos-residual", "intervals of the latencies")
"""Interval methods without a confidence level, in files written before the level was stored."""


@final
@dataclass(frozen=True)
class Record:
    """One stored outcome.

    Args:
        evaluator: Name of the evaluator.
        outcome: What it yielded.
        key: Digest of all that determines the outcome (weights, data, evaluator, version, settings, seed, machine for costs).
        part: ``(index, count)`` among the outcomes of one evaluation; a group counts only when whole.
        settings: The evaluator's settings.
        seconds: How long the evaluation took.
    """

    evaluator: str
    outcome: Outcome
    key: str = ""
    part: tuple[int, int] = (0, 1)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def metric(self) -> Metric | None:
        """The metric measured or missed; ``None`` for a failure of the whole evaluator."""
        return self.outcome.metric


def to_json(record: Record) -> Json:
    """The record as plain JSON data."""
    outcome = record.outcome
    body = _measurement(outcome) if isinstance(outcome, Measurement) else _failure(outcome)
    kind = "measurement" if isinstance(outcome, Measurement) else "failure"
    rest = {"key": record.key, "part": list(record.part), "settings": dict(record.settings), "seconds": round(record.seconds, 3)}
    return {"kind": kind, "evaluator": record.evaluator, **body, **rest}


def from_json(data: Mapping[str, Any]) -> Record:
    """The record of a line written by :func:`to_json`.

    Raises:
        KeyError, ValueError, TypeError: The line is not such a record.
    """
    outcome: Outcome
    if data["kind"] == "measurement":
        metric = _metric_from(data)
        if metric is None:
            raise ValueError("a measurement without a metric")
        outcome = Measurement(
            metric=metric,
            value=data["value"],
            n=data["n"],
            interval=_interval_from(data),
            conditions=data["conditions"],
            samples=tuple(data.get("samples", ())),
            extra=tuple(figure_from_json(f) for f in data.get("extra", ())),
            repeatable=data.get("repeatable", True),
        )
    elif data["kind"] == "failure":
        outcome = Failure(Status(data["status"]), data["code"], data["message"], data["hint"], metric=_metric_from(data), conditions=data["conditions"])
    else:
        raise ValueError(f"unknown kind of outcome {data['kind']!r}")
    index, count = data["part"]
    return Record(data["evaluator"], outcome, data["key"], (index, count), data["settings"], data["seconds"])


def _metric(metric: Metric | None) -> Json:
    if metric is None:
        return {"metric": None}
    return {
        "metric": metric.name,
        "unit": metric.unit,
        "better": metric.better.value,
        "bounds": [metric.low, metric.high],
        "description": metric.description,
        "source": metric.source,
    }


def _metric_from(data: Mapping[str, Any]) -> Metric | None:
    if data["metric"] is None:
        return None
    low, high = data["bounds"]
    return Metric(data["metric"], Unit(data["unit"]), Better(data["better"]), data["description"], data["source"], low, high)


def _interval(m: Measurement) -> Json:
    interval = m.interval
    if interval is None:
        return {"interval": None, "interval_method": EXACT if m.repeatable else NO_INTERVAL, "interval_level": None}
    body = {"interval": [interval.low, interval.high], "interval_method": interval.method, "interval_level": interval.level}
    return body | ({"interval_conditional_on": interval.conditional_on} if interval.conditional_on else {})


def _interval_from(data: Mapping[str, Any]) -> Interval | None:
    ends, method = data["interval"], data["interval_method"]
    if ends is None:
        return None
    level = data.get("interval_level", None if method in WITHOUT_LEVEL else LEVEL)
    return Interval(ends[0], ends[1], method, level, data.get("interval_conditional_on", ""))


def _measurement(m: Measurement) -> Json:
    body = _metric(m.metric) | {"value": m.value, "n": m.n} | _interval(m) | {"conditions": dict(m.conditions)}
    if not m.repeatable:
        body["repeatable"] = False
    if m.samples:
        body["samples"] = list(m.samples)
    if m.extra:
        body["extra"] = [figure_to_json(f) for f in m.extra]
    return body


def _failure(f: Failure) -> Json:
    body = {"status": f.status.value, "code": f.code, "message": f.message, "hint": f.hint, "conditions": dict(f.conditions)}
    return _metric(f.metric) | body


def figure_to_json(figure: Figure) -> Json:
    """A figure as plain JSON data, tagged with its kind."""
    return {"kind": figure.kind, **dataclasses.asdict(figure)}


def figure_from_json(data: Mapping[str, Any]) -> Figure:
    """The figure of what :func:`figure_to_json` wrote."""
    kinds: dict[str, type[Figure]] = {kind.kind: kind for kind in FIGURES}
    fields = {key: value for key, value in data.items() if key != "kind"}
    nested: dict[str, type[Series] | type[Picture]] = {"series": Series, "pictures": Picture}
    for key, cls in nested.items():
        if key in fields:
            fields[key] = tuple(cls(**{k: _tuples(v) for k, v in item.items()}) for item in fields[key])
    return kinds[data["kind"]](**{key: _tuples(value) for key, value in fields.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
