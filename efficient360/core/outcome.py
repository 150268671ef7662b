"""An outcome with where it came from, and its JSON form: one self-contained line that other programs read."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, final

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from efficient360.core.figures import FIGURES, Bars, Curve, Figure, Table
from efficient360.core.measurement import LEVEL, Better, Failure, Interval, Measurement, Metric, Outcome, Status, Unit
from efficient360.core.parsing import LARGEST_WHOLE, require_plain
from efficient360.core.reading import misfit, shown

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


_Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
_Whole = Annotated[int, Field(strict=True, ge=0, le=LARGEST_WHOLE)]
_Bounds = tuple[_Finite | None, _Finite | None]
_Scalar = Annotated[str, Field(strict=True)] | Annotated[bool, Field(strict=True)] | _Whole | _Finite


class _Line(BaseModel):
    """What every stored outcome has."""

    evaluator: str
    metric: str | None
    unit: str = ""
    better: Better = Better.NEITHER
    bounds: _Bounds = (None, None)
    description: str = ""
    source: str = ""
    conditions: dict[str, _Scalar]
    key: str
    part: tuple[_Whole, _Whole]
    settings: dict[str, Any]
    seconds: _Finite
    measured_with: dict[str, Any] = Field(default_factory=dict)  # not in files written before it was stored


@final
class _MeasurementLine(_Line):
    kind: Literal["measurement"]
    metric: str
    unit: str
    better: Better
    bounds: _Bounds
    description: str
    source: str
    value: _Finite
    n: _Whole
    interval: tuple[_Finite, _Finite] | None
    interval_method: str
    interval_level: Annotated[float, Field(strict=True, gt=0, lt=1)] | None = None  # this and the next not in files written before they were stored
    interval_conditional_on: str = ""
    repeatable: Annotated[bool, Field(strict=True)] = True
    samples: tuple[_Finite, ...] = ()
    extra: tuple[dict[str, Any], ...] = ()
    void: str = ""


@final
class _FailureLine(_Line):
    kind: Literal["failure"]
    status: Status
    code: str
    message: str
    hint: str


_LINE: Final = TypeAdapter[_MeasurementLine | _FailureLine](Annotated[_MeasurementLine | _FailureLine, Field(discriminator="kind")])


def from_json(data: Mapping[str, Any]) -> Record:
    """The record of a line written by :func:`to_json`.

    Raises:
        ValueError: The line is not such a record.
    """
    try:
        line = _LINE.validate_python(data)
    except ValidationError as error:
        raise ValueError(f"an outcome{misfit(error)}") from error
    require_plain((line.settings, line.measured_with, getattr(line, "extra", ())))
    metric = (
        None if line.metric is None else Metric(line.metric, Unit(line.unit), line.better, line.description, line.source, *data.get("bounds", (None, None)))
    )
    outcome: Outcome
    if isinstance(line, _MeasurementLine) and metric is not None:
        outcome = Measurement(
            metric=metric,
            value=data["value"],
            n=line.n,
            interval=_interval_from(line),
            conditions=data["conditions"],
            samples=tuple(data.get("samples", ())),
            extra=tuple(figure_from_json(figure) for figure in line.extra),
            repeatable=line.repeatable,
            void=line.void,
        )
    elif isinstance(line, _FailureLine):
        outcome = Failure(line.status, line.code, line.message, line.hint, metric=metric, conditions=data["conditions"])
    return Record(line.evaluator, outcome, line.key, line.part, line.settings, data["seconds"], line.measured_with)


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


def _interval(m: Measurement) -> Json:
    interval = m.interval
    if interval is None:
        return {"interval": None, "interval_method": EXACT if m.repeatable else NO_INTERVAL, "interval_level": None}
    body = {"interval": [interval.low, interval.high], "interval_method": interval.method, "interval_level": interval.level}
    return body | ({"interval_conditional_on": interval.conditional_on} if interval.conditional_on else {})


def _interval_from(line: _MeasurementLine) -> Interval | None:
    if line.interval is None:
        return None
    unsaid = None if line.interval_method in WITHOUT_LEVEL else LEVEL
    level = line.interval_level if "interval_level" in line.model_fields_set else unsaid
    return Interval(*line.interval, line.interval_method, level, line.interval_conditional_on)


def _measurement(m: Measurement) -> Json:
    body = _metric(m.metric) | {"value": m.value, "n": m.n} | _interval(m) | {"conditions": dict(m.conditions)}
    if not m.repeatable:
        body["repeatable"] = False
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


_FIGURES: Final[Mapping[str, TypeAdapter[Any]]] = {kind.kind: TypeAdapter(kind) for kind in FIGURES}


def figure_from_json(data: Mapping[str, Any]) -> Figure:
    """The figure of what :func:`figure_to_json` wrote.

    Raises:
        ValueError: It is no such figure, or has intervals of other than all its values.
    """
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _FIGURES:
        raise ValueError(f"{shown(kind)} is no kind of figure")
    try:
        figure: Figure = _FIGURES[kind].validate_python({key: value for key, value in data.items() if key != "kind"})
    except ValidationError as error:
        raise ValueError(f"a figure{misfit(error)}") from error
    for values, low, high in _with_intervals(figure):
        if low and not len(values) == len(low) == len(high):
            raise ValueError(f"a figure of {len(values)} values has {len(low)} and {len(high)} ends of their intervals")
    if isinstance(figure, Table) and any(len(row) > len(figure.columns) for row in figure.rows):
        raise ValueError(f"a table of {len(figure.columns)} columns has a longer row")
    return figure


def _with_intervals(figure: Figure) -> Iterator[tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]]:
    if isinstance(figure, Bars):
        yield figure.values, figure.low, figure.high
    elif isinstance(figure, Curve):
        yield from ((series.y, series.low, series.high) for series in figure.series)
