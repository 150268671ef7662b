"""An outcome with where it came from, and its JSON form: one self-contained line that other programs read."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from efficient360.core.figures import FIGURES, Figure, Picture, Series
from efficient360.core.measurement import Better, Failure, Interval, Measurement, Metric, Outcome, Status, Unit

Json = dict[str, Any]


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
        measured_with: What must agree, beside the conditions, before the value is set beside another: settings that change what it means, data, number of
            examples, machine, the evaluator's version. Empty in files written before it was stored.
    """

    evaluator: str
    outcome: Outcome
    key: str = ""
    part: tuple[int, int] = (0, 1)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    measured_with: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metric(self) -> Metric | None:
        """The metric measured or missed; ``None`` for a failure of the whole evaluator."""
        return self.outcome.metric


def to_json(record: Record) -> Json:
    """The record as plain JSON data."""
    outcome = record.outcome
    body = _measurement(outcome) if isinstance(outcome, Measurement) else _failure(outcome)
    kind = "measurement" if isinstance(outcome, Measurement) else "failure"
    rest: Json = {"key": record.key, "part": list(record.part), "settings": dict(record.settings), "seconds": round(record.seconds, 3)}
    rest |= {"measured_with": dict(record.measured_with)} if record.measured_with else {}
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
        ends = data["interval"]
        outcome = Measurement(
            metric=metric,
            value=data["value"],
            n=data["n"],
            interval=None if ends is None else Interval(ends[0], ends[1], data["interval_method"]),
            conditions=data["conditions"],
            samples=tuple(data.get("samples", ())),
            extra=tuple(figure_from_json(f) for f in data.get("extra", ())),
            void=data.get("void", ""),
        )
    elif data["kind"] == "failure":
        outcome = Failure(Status(data["status"]), data["code"], data["message"], data["hint"], metric=_metric_from(data), conditions=data["conditions"])
    else:
        raise ValueError(f"unknown kind of outcome {data['kind']!r}")
    index, count = data["part"]
    return Record(data["evaluator"], outcome, data["key"], (index, count), data["settings"], data["seconds"], data.get("measured_with", {}))


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


def _measurement(m: Measurement) -> Json:
    body = _metric(m.metric)
    body |= {"value": m.value, "n": m.n, "interval": None if m.interval is None else [m.interval.low, m.interval.high]}
    body |= {"interval_method": "exact" if m.interval is None else m.interval.method, "conditions": dict(m.conditions)}
    if m.samples:
        body["samples"] = list(m.samples)
    if m.extra:
        body["extra"] = [figure_to_json(f) for f in m.extra]
    if m.void:
        body["void"] = m.void
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
