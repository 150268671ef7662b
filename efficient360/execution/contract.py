"""The contract of an evaluator, held at the border: what it declares, and each outcome that it yields, as plain data or refused by name."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from efficient360.core.figures import FIGURES, Figure
from efficient360.core.measurement import Better, Conditions, Failure, Interval, Measurement, Metric, Outcome, Status, Unit
from efficient360.core.outcome import figure_from_json, figure_to_json
from efficient360.core.plain import number, plain, whole
from efficient360.core.text import one_line, reason
from efficient360.errors import PluginError
from efficient360.evaluator import Evaluator, ExampleEvaluator, Need

MOST_OUTCOMES = 10_000
"""An evaluator that yields more is taken to yield without end."""


def declaration_faults(cls: type[Any]) -> Iterator[str]:
    """Every way in which the class of an evaluator breaks the contract, one sentence each, before any of its code runs."""
    if not issubclass(cls, Evaluator | ExampleEvaluator):
        yield "it inherits neither from Evaluator nor from ExampleEvaluator"
        return
    parameters = vars(cls).get("__dataclass_params__")  # its own, not one inherited
    if parameters is None or not parameters.frozen:
        yield "it is no frozen dataclass: decorate it with @dataclass(frozen=True)"
        return
    name, version, needs, uses = (getattr(cls, key, None) for key in ("name", "version", "needs", "uses"))
    if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
        yield f"its name {name!r} is no snake_case string"
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        yield f"its version {version!r} is no whole number of at least 1"
    for what, declared in (("needs", needs), ("uses", uses)):
        if not isinstance(declared, frozenset) or not all(isinstance(need, Need) for need in declared):
            yield f"its {what} are no frozenset of Need"
    for what in ("metrics", "columns") if issubclass(cls, ExampleEvaluator) else ("metrics",):
        declared = getattr(cls, what, None)
        if not isinstance(declared, tuple) or not all(isinstance(metric, Metric) for metric in declared) or (what == "metrics" and not declared):
            yield f"its {what} are no tuple of Metric"


def require_declaration(name: str, cls: type[Any]) -> None:
    """Refuse an evaluator whose class breaks the contract.

    Raises:
        PluginError: It does; with the first way.
    """
    fault = next(declaration_faults(cls), None)
    if fault is not None:
        raise PluginError(
            "broken-contract", f"the evaluator {name} breaks the contract: {fault}", "mend it; efficient360.conformance.check finds all such faults"
        )


def checked(evaluator: Evaluator | ExampleEvaluator, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """The outcomes as they come, as plain data, as long as they keep the contract.

    Raises:
        PluginError: None at all or no end of them, something that is no outcome or holds what can't be stored, an undeclared metric or one in another unit
            than declared, or the same metric twice under the same conditions.
    """
    declared = {metric.name: metric for metric in evaluator.metrics}
    yielded: set[tuple[str, frozenset[tuple[str, object]]]] = set()
    count = 0
    for count, given in enumerate(outcomes, 1):
        if count > MOST_OUTCOMES:
            raise PluginError("endless-outcomes", f"{evaluator.name} yields more than {MOST_OUTCOMES:,} outcomes", "yield one for each thing that is measured")
        outcome = _plain_outcome(evaluator.name, given)
        if outcome.metric is not None:
            _require_declared(evaluator, declared, outcome.metric)
            identity = outcome.metric.name, frozenset(outcome.conditions.items())
            if identity in yielded:
                message = f"{evaluator.name} yields {outcome.metric.name} twice under the same conditions"
                raise PluginError("repeated-metric", message, "tell them apart by conditions")
            yielded.add(identity)
        yield outcome
    if not count:
        raise PluginError("no-outcome", f"{evaluator.name} yields nothing", "yield a Measurement or a Failure")


def _require_declared(evaluator: Evaluator | ExampleEvaluator, declared: Mapping[str, Metric], metric: Metric) -> None:
    own = declared.get(metric.name)
    if own is None:
        raise PluginError("undeclared-metric", f"{evaluator.name} yields {metric.name}, which it does not declare", "add it to metrics")
    if (own.unit, own.better) != (metric.unit, metric.better):
        message = f"{evaluator.name} yields {metric.name} in {metric.unit} ({metric.better} is better) and declares it in {own.unit} ({own.better})"
        raise PluginError("wrong-unit", message, "yield the metric that is declared")


def _plain_outcome(name: str, outcome: Outcome) -> Outcome:
    """An outcome as it will be stored.

    Raises:
        PluginError: It can't be.
    """
    if type(outcome) not in (Measurement, Failure):  # nor of a class of their own, which only the plug-in's process knows
        raise PluginError("no-outcome", f"{name} yields {type(outcome).__name__}, which is no outcome", "yield a Measurement or a Failure")
    if type(outcome.metric) is not Metric and not (outcome.metric is None and isinstance(outcome, Failure)):
        raise PluginError("no-metric", f"{name} yields an outcome whose metric is {type(outcome.metric).__name__}", "give it one of the evaluator's metrics")
    part = "declaration"
    try:
        metric = None if outcome.metric is None else _metric(outcome.metric)
        part = "conditions"
        conditions = conditions_of(outcome.conditions)
        if isinstance(outcome, Failure):
            part = "reason"
            texts: dict[str, Any] = {key: _text(getattr(outcome, key)) for key in ("code", "message", "hint")}
            return dataclasses.replace(outcome, status=Status(outcome.status), metric=metric, conditions=conditions, **texts)
        part = "value"
        value, n = number(outcome.value), whole(outcome.n)
        part = "interval"
        ends = outcome.interval
        interval = None if ends is None else _interval(ends)
        part = "samples"
        samples = tuple(number(sample) for sample in outcome.samples)
        part = "extra"
        extra = tuple(_figure(figure) for figure in outcome.extra)
        part = "value"
        assert metric is not None
        return dataclasses.replace(outcome, metric=metric, value=value, n=n, interval=interval, conditions=conditions, samples=samples, extra=extra)
    except Exception as error:  # a value may raise anything when it is looked at
        what = name if outcome.metric is None else f"{name} yields {outcome.metric.name}, whose {part} can't be stored"
        raise PluginError("bad-outcome", f"{what}: {reason(error)}", "yield plain finite numbers and texts") from error


def conditions_of(conditions: Conditions) -> dict[str, str | int | float | bool]:
    """Conditions as plain scalars.

    Raises:
        TypeError, ValueError: A name that is no text, or a value that is no scalar.
    """
    fixed = {}
    for key, value in conditions.items():
        if not isinstance(key, str):
            raise TypeError(f"the name {key!r} of a condition is no text")
        scalar = plain(value)
        if not isinstance(scalar, str | int | float | bool):
            raise TypeError(f"the condition {key} is a {type(value).__name__}")
        fixed[key] = scalar
    return fixed


def _metric(metric: Metric) -> Metric:
    """A metric without anything that only its author's module has, such as an enumeration for its unit."""
    low, high = (None if bound is None else number(bound) for bound in (metric.low, metric.high))
    texts: dict[str, Any] = {name: _text(getattr(metric, name)) for name in ("name", "description", "source")}
    return dataclasses.replace(metric, **texts, unit=Unit(_text(metric.unit)), better=Better(metric.better), low=low, high=high)


def _interval(interval: Interval) -> Interval:
    if type(interval) is not Interval:
        raise TypeError(f"{type(interval).__name__} is no interval")
    return dataclasses.replace(interval, low=number(interval.low), high=number(interval.high), method=_text(interval.method))


def _figure(figure: Figure) -> Figure:
    if not isinstance(figure, FIGURES):
        raise TypeError(f"{type(figure).__name__} is no figure")
    try:
        read = figure_from_json(plain(figure_to_json(figure)))
        checked_figure: Figure = TypeAdapter(type(figure)).validate_python(dataclasses.asdict(read))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise TypeError(f"{place} of a {figure.kind}: {first['msg']}") from error
    return checked_figure


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return str(plain(value))


def failure_of(error: BaseException) -> Failure:
    """The failure of an evaluator that raised what no evaluator should."""
    return Failure(Status.FAILED, "crashed", one_line(reason(error)))
