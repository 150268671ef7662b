"""What a run says in two sentences: how accurate it is, what it is strong and weak at, what breaks it. Only what was measured and decided is said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

from efficient360.core import formatting
from efficient360.core.measurement import Conditions, Measurement, Scalar
from efficient360.core.outcome import Record
from efficient360.dimensions.dimension import Bound
from efficient360.reports import names
from efficient360.reports.alerts import Alert, Kind, Severity, alerts, of_axis
from efficient360.reports.axis_scores import axis_of
from efficient360.reports.report import Axis, Report, SummaryMetric

STRONG: Final = 0.8
"""Lowest score of a strength."""
WEAK: Final = 0.75
"""A score below this is a weakness."""
NAMED: Final = 3
"""Strengths and weaknesses that are named at most, and conditions that break the model, the worst ones."""
BREAKING: Final = 0.1
"""Smallest loss of accuracy that is said to break a model."""
ATTACKS: Final = "adversarial attacks"
UNDER: Final = {
    "corruption_accuracy": "corruption",
    "capture_accuracy": "capture",
    "shift_accuracy": "shift",
    "robust_accuracy": "attack",
}
"""Metrics that are an accuracy under worse conditions than clean images, with the condition that names them."""


@final
@dataclass(frozen=True)
class Point:
    """A strength or a weakness.

    Args:
        axis: The axis, which has a score.
        metric: Title of a summary metric: the first one of a strength, the lowest scored one of a weakness.
        value: That metric's value with its unit.
    """

    axis: Axis
    metric: str
    value: str


@final
@dataclass(frozen=True)
class Break:
    """A condition under which the model is less accurate than on clean images, beyond both intervals.

    Args:
        axis: Name of the axis whose section has the value; ``""`` for none.
        what: The condition: ``contrast``, ``low light``, ``adversarial attacks at ε = 4/255``.
        value: Accuracy under it, in [0, 1].
        clean: Accuracy on clean images, in [0, 1].
        text: The accuracy as printed.
    """

    axis: str
    what: str
    value: float
    clean: float
    text: str


@final
@dataclass(frozen=True)
class Verdict:
    """What a run comes to.

    Args:
        name: The checkpoint's name.
        sentences: One or two sentences: what it is good at; what it is worst at and what breaks it.
        strengths: The highest scores that hold, at most three: of axes without a warning, of no score that might be lower under the axis's own settings,
            and of none under whose conditions the model breaks.
        weaknesses: The lowest scores, at most three, the lowest first.
        breaks: What costs it most accuracy, the worst first.
        alerts: Everything to know before relying on the numbers, the severest first.
    """

    name: str
    sentences: Sequence[str]
    strengths: Sequence[Point]
    weaknesses: Sequence[Point]
    breaks: Sequence[Break]
    alerts: Sequence[Alert]

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)

    def __str__(self) -> str:
        """The sentences as one paragraph."""
        return self.text


def verdict(report: Report) -> Verdict:
    """The verdict on one run. A void, undecided or unmeasured value is never a strength, and never named in the sentences."""
    found = alerts(report)
    doubted = [alert for alert in found if alert.kind is Kind.CHECK and alert.severity is Severity.CRITICAL]
    breaks = _breaks(report)
    strengths = [] if doubted else _strengths(report, found, {entry.axis for entry in breaks})
    weaknesses = _weaknesses(report, found, {point.axis.dimension.name for point in strengths})
    name = str(report.checkpoint.get("name", ""))
    sentences = [_first(name, report, strengths, doubted), *filter(None, [_second(weaknesses, breaks)])]
    return Verdict(name, sentences, strengths, weaknesses, breaks, found)


def _strengths(report: Report, found: Sequence[Alert], broken: set[str]) -> list[Point]:
    high = [axis for axis in report.axes if axis.score is not None and axis.score >= STRONG and axis.dimension.name not in broken]
    held = [axis for axis in high if _praisable(axis, found)]
    return [_point(axis, axis.parts[0]) for axis in sorted(held, key=lambda axis: -(axis.score or 0.0))[:NAMED]]


def _praisable(axis: Axis, found: Sequence[Alert]) -> bool:
    """Whether a high score is one: nothing warns of it, and it would not be lower under the axis's own settings. Accuracy is said in any case."""
    warned = any(alert.scored and alert.severity is not Severity.NOTE for alert in of_axis(found, axis))
    return not _is_accuracy(axis) and not warned and axis.bound in (None, Bound.LOWER)


def _weaknesses(report: Report, found: Sequence[Alert], strong: set[str]) -> list[Point]:
    scored = [axis for axis in report.axes if axis.score is not None and axis.dimension.name not in strong and axis.bound in (None, Bound.UPPER)]
    decided = [axis for axis in scored if not any(alert.scored and alert.kind in (Kind.UNDECIDED, Kind.VOID) for alert in of_axis(found, axis))]
    ranked = sorted(decided, key=lambda axis: axis.score or 0.0)
    low = [axis for axis in ranked if (axis.score or 0.0) < WEAK]
    lowest = [axis for axis in ranked if not _is_accuracy(axis)][:1]
    return [_point(axis, min(axis.parts, key=lambda part: part.score or 0.0)) for axis in (low or lowest)[:NAMED]]


def _is_accuracy(axis: Axis) -> bool:
    """Whether it is the axis of the accuracy, which the first sentence says in any case."""
    return any(part.anchor.metric == "top1" for part in axis.parts)


def _point(axis: Axis, part: SummaryMetric) -> Point:
    m = part.measurement
    return Point(axis, names.title(part.anchor.metric), "" if m is None else formatting.number(m.value, m.metric))


def _breaks(report: Report) -> list[Break]:
    """Conditions that cost accuracy beyond both intervals, the worst first: the named corruptions, capture conditions and shifts, and the worst-case attack."""
    reference = _top1(report)
    found = [] if reference is None else [entry for record in report.records for entry in _break(report, record, reference)]
    return sorted(found, key=lambda entry: entry.value)


def _break(report: Report, record: Record, reference: Measurement) -> Iterator[Break]:
    m = record.outcome
    if not isinstance(m, Measurement) or m.void or m.metric.name not in UNDER or m.interval is None or reference.interval is None:
        return
    condition = m.conditions.get(UNDER[m.metric.name])
    attacked = m.metric.name == "robust_accuracy"
    if condition is None or (attacked and condition != "worst case") or "severity" in m.conditions or None in (m.interval.level, reference.interval.level):
        return
    if m.interval.high >= reference.interval.low or m.value > reference.value - BREAKING:
        return
    what = f"{ATTACKS} within {names.conditions(_strength(m)).replace(' · ', ' ')}" if attacked else _named(m.metric.name, condition)
    yield Break(axis_of(report, record) or "", what, m.value, reference.value, formatting.number(m.value, m.metric))


def _strength(m: Measurement) -> Conditions:
    return {key: value for key, value in m.conditions.items() if key in ("norm", "epsilon")}


def _named(metric: str, condition: Scalar) -> str:
    """A corruption, capture condition or shift by its name alone: ``JPEG compression``, ``low light``."""
    return names.VALUES.get(UNDER[metric], {}).get(str(condition), str(condition).replace("_", " "))


def _top1(report: Report) -> Measurement | None:
    found = (r.outcome for r in report.records if isinstance(r.outcome, Measurement) and r.outcome.metric.name == "top1")
    return next((m for m in found if not m.void and not m.conditions), None)


def _first(name: str, report: Report, strengths: Sequence[Point], doubted: Sequence[Alert]) -> str:
    top1 = _top1(report)
    if top1 is None:
        said, joint = f"{name} has no accuracy that counts", "; it"
    else:
        interval = f" (95 % interval {formatting.interval(top1.interval, top1.metric)})" if top1.interval is not None else ""
        said = f"{name} classifies {formatting.number(top1.value, top1.metric)} of {formatting.count(top1.n)} images correctly{interval}"
        joint = " and"
    if doubted:
        return f"{said}, but {_number(len(doubted), 'alert')} below may make its numbers wrong."
    if not strengths:
        return f"{said}{'; no' if top1 is None else ', and no'} other axis is a clear strength."
    return f"{said}{joint} is strong in {formatting.listed([_worded(point) for point in strengths])}."


def _second(weaknesses: Sequence[Point], breaks: Sequence[Break]) -> str:
    attacks = [entry for entry in breaks if entry.what.startswith(ATTACKS)][:1]
    others = [entry for entry in breaks if not entry.what.startswith(ATTACKS)]
    worst = sorted([*others, *attacks], key=lambda entry: entry.value)[:NAMED]
    said = {(entry.axis, entry.text) for entry in worst}
    weak = [point.axis.dimension.title.lower() if (point.axis.dimension.name, point.value) in said else _worded(point) for point in weaknesses]
    first = f"It is weakest in {formatting.listed(weak)}" if weak else ""
    verb = "breaks" if len(worst) == 1 and worst[0] not in attacks else "break"
    second = f"{formatting.listed([f'{entry.what} ({entry.text} correct)' for entry in worst])} {verb} it" if worst else ""
    text = "; ".join(filter(None, [first, second]))
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _worded(point: Point) -> str:
    metric = point.metric if point.metric[1:2].isupper() else point.metric[:1].lower() + point.metric[1:]
    return f"{point.axis.dimension.title.lower()} ({metric} {point.value})"


def _number(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
