"""Which values of a run a rule is about: the one that an axis scores, or every value under the conditions given."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from efficient360.core.close_names import close_names, did_you_mean
from efficient360.core.measurement import Conditions, Failure, Measurement, Metric, Scalar
from efficient360.core.outcome import Record
from efficient360.dimensions.dimension import Bound
from efficient360.errors import SettingsError
from efficient360.reports.comparability import Difference, differences
from efficient360.reports.gate.axis_values import axis_differences, axis_metric, axis_value
from efficient360.reports.gate.rule import AXES, CODE, Rule
from efficient360.reports.names import TITLES
from efficient360.reports.names import conditions as conditions_text
from efficient360.reports.report import Axis, Report, summary_record

UNKNOWN: Final = "unknown-metric"
_SHOWN: Final = 8
"""Choices that a message names at most."""


@final
@dataclass(frozen=True)
class Subject:
    """One value that a rule is about.

    Args:
        evaluator: Its evaluator; ``"axes"`` for the score of an axis.
        metric: Its metric; ``None`` where no run says more than its name.
        conditions: What else was fixed.
        value: The run's; ``None`` where it has none that means something.
        baseline: The baseline's, likewise; ``None`` without a baseline.
        missing: Why the run has no value; ``""`` where it has one.
        baseline_missing: Why the baseline has none.
        differing: In what the two were measured differently.
        records: The two stored outcomes, the run's first, where both are values.
        note: Conditions of the baseline's value where an axis scores one under others, such as another runtime; what the score of an axis is a bound of.
        bound: On which side of the score the truth lies, where that was measured with other settings than the axis takes.
    """

    evaluator: str
    metric: Metric | None
    conditions: Conditions
    value: Measurement | None
    baseline: Measurement | None = None
    missing: str = ""
    baseline_missing: str = ""
    differing: Sequence[Difference] = ()
    records: tuple[Record, Record] | None = None
    note: str = ""
    bound: Bound | None = None


def subjects(rule: Rule, run: Report, baseline: Report | None) -> list[Subject]:
    """The values that a rule is about, at least one; it has no value where the run has none.

    Of the values that have the rule's conditions, these are: the one that has no others; else those that an axis scores; else all.

    Args:
        rule: The rule.
        run: The run that is checked.
        baseline: What it is held against.

    Raises:
        SettingsError: Nobody knows the metric (``unknown-metric``), or it was measured by another evaluator or under other conditions (``bad-rule``).
    """
    reports = [run] if baseline is None else [run, baseline]
    if rule.evaluator == AXES:
        return [_axis_subject(rule, run, baseline)]
    evaluators = _evaluators(rule, reports)
    ours = _chosen(rule, run, evaluators)
    theirs = {} if baseline is None else _chosen(rule, baseline, evaluators)
    if any(isinstance(record.outcome, Measurement) for record in (*ours.values(), *theirs.values())):
        # A failure stands for the values that another run has, or the same run under other conditions.
        ours, theirs = ({key: r for key, r in found.items() if isinstance(r.outcome, Measurement)} for found in (ours, theirs))
    if ours or theirs:
        return [_subject(ours.get(key), theirs.get(key), run, baseline) for key in dict.fromkeys([*ours, *theirs])]
    other = [r for report in reports for r in report.records if r.metric is not None and r.metric.name == rule.metric and r.evaluator in evaluators]
    if other:
        raise _no_such_conditions(rule, other)
    return [Subject(evaluators[0] if evaluators else rule.evaluator, None, rule.conditions, None, missing="it was not part of this run")]


def _evaluators(rule: Rule, reports: Sequence[Report]) -> list[str]:
    """The evaluators that measure the rule's metric, as far as the runs and the axes tell."""
    measured = [r.evaluator for report in reports for r in report.records if r.metric is not None and r.metric.name == rule.metric]
    scored = [part.anchor.evaluator for report in reports for axis in report.axes for part in axis.parts if part.anchor.metric == rule.metric]
    known = list(dict.fromkeys([*measured, *scored]))
    if not known and rule.metric not in TITLES:
        raise _unknown(rule, reports)
    if rule.evaluator and known and rule.evaluator not in known:
        raise SettingsError(CODE, f"the rule {rule.text!r} is about {rule.metric} of {rule.evaluator}", f"it is measured by {' and by '.join(known)}")
    return [rule.evaluator] if rule.evaluator else known


def _chosen(rule: Rule, report: Report, evaluators: Sequence[str]) -> dict[Hashable, Record]:
    """The outcomes of a report that a rule is about, each under what the same one of another report has, too: its anchor, or its conditions."""
    records = [r for r in report.records if r.evaluator in evaluators and (r.metric is None or r.metric.name == rule.metric)]
    measured = [r for r in records if isinstance(r.outcome, Measurement) and _fits(rule, r.outcome.conditions)]
    failed = [r for r in records if isinstance(r.outcome, Failure) and _may_fit(rule, r.outcome.conditions)]
    if rule.every:
        return _by_conditions(measured or failed)
    if plain := [r for r in measured if len(r.outcome.conditions) == len(rule.conditions)]:
        return _by_conditions(plain)
    anchors = [part.anchor for axis in report.axes for part in axis.parts if part.anchor.metric == rule.metric and part.anchor.evaluator in evaluators]
    scored: dict[Hashable, Record] = {i: found[0] for i, anchor in enumerate(anchors) if (found := summary_record(anchor, measured)) is not None}
    return scored or _by_conditions(failed if failed and (anchors or not measured) else measured)


def _by_conditions(records: Iterable[Record]) -> dict[Hashable, Record]:
    return {(r.evaluator, frozenset(r.outcome.conditions.items())): r for r in records}


def _subject(ours: Record | None, theirs: Record | None, run: Report, baseline: Report | None) -> Subject:
    known = ours or theirs
    if known is None:
        raise ValueError("neither run has an outcome")
    pair = [ours or _same_value(known, run), theirs or (None if baseline is None else _same_value(known, baseline))]
    first, second = map(_meaningful, pair)
    missing = "" if first is not None else _why(known, pair[0], run)
    baseline_missing = "" if second is not None or baseline is None else _why(known, pair[1], baseline)
    metric = next((r.metric for r in (*pair, known) if r is not None and r.metric is not None), None)
    subject = Subject(known.evaluator, metric, known.outcome.conditions, first, second, missing, baseline_missing)
    if first is None or second is None or pair[0] is None or pair[1] is None or baseline is None:
        return subject
    differing = differences(pair[1], pair[0]) or _other_data(pair[0], pair[1], run, baseline)
    note = "" if first.conditions == second.conditions else f"baseline: {conditions_text(second.conditions) or 'without conditions'}"
    return replace(subject, differing=differing, records=(pair[0], pair[1]), note=note)


def _other_data(ours: Record, theirs: Record, run: Report, baseline: Report) -> list[Difference]:
    """That two values of examples are of different data, where they were stored before records told what they were measured with."""
    digests = [None if report.dataset is None else report.dataset.get("digest") for report in (baseline, run)]
    alike = digests[0] is not None and digests[0] == digests[1]
    told = bool(ours.measured_with) and bool(theirs.measured_with)
    depends = any(isinstance(r.outcome, Measurement) and not r.outcome.exact and r.outcome.n > 1 for r in (ours, theirs))
    return [] if alike or told or not depends else [("data", str(digests[0]), str(digests[1]))]


def _same_value(chosen: Record, report: Report) -> Record | None:
    name = None if chosen.metric is None else chosen.metric.name
    values = [r for r in report.records if r.evaluator == chosen.evaluator and r.metric is not None and r.metric.name == name]
    measured = (r for r in values if isinstance(r.outcome, Measurement))
    return next((r for r in measured if dict(r.outcome.conditions) == dict(chosen.outcome.conditions)), None)


def _meaningful(record: Record | None) -> Measurement | None:
    """A value; ``None`` for one that is missing or void."""
    return record.outcome if record is not None and isinstance(record.outcome, Measurement) and not record.outcome.void else None


def _why(known: Record, own: Record | None, report: Report) -> str:
    """Why a report has no value where another has one, or where it has a failure.

    Args:
        known: An outcome of either report.
        own: This report's own, if it has one.
        report: This report.
    """
    if own is not None:
        return f"void: {own.outcome.void}" if isinstance(own.outcome, Measurement) else own.outcome.message
    name = None if known.metric is None else known.metric.name
    ours = [r for r in report.records if r.evaluator == known.evaluator]
    failures = [r.outcome for r in ours if isinstance(r.outcome, Failure) and (r.metric is None or name in (None, r.metric.name))]
    if failures:
        return failures[0].message
    return "it was not measured under these conditions" if ours else f"{known.evaluator} was not part of this run"


def _fits(rule: Rule, conditions: Conditions) -> bool:
    return all(key in conditions and _same(conditions[key], text) for key, text in rule.conditions.items())


def _may_fit(rule: Rule, conditions: Conditions) -> bool:
    """Whether a failure, which may name fewer conditions than a value would have, is about the rule's values."""
    return all(key not in conditions or _same(conditions[key], text) for key, text in rule.conditions.items())


def _same(value: Scalar, text: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(text) == value
        except ValueError:
            return False
    written = ("yes" if value else "no") if isinstance(value, bool) else value
    return "".join(written.split()).casefold() == "".join(text.split()).casefold()


def _axis_subject(rule: Rule, run: Report, baseline: Report | None) -> Subject:
    if rule.conditions or rule.every:
        raise SettingsError(CODE, f"the rule {rule.text!r} gives an axis conditions", f"an axis has one score: {AXES}.{rule.metric}")
    ours, theirs = _axis(rule, run), None if baseline is None else _axis(rule, baseline)
    value, reason = axis_value(ours)
    other, other_reason = (None, "") if theirs is None else axis_value(theirs)
    differing = [] if baseline is None or theirs is None else axis_differences(ours, run, baseline)
    return Subject(AXES, axis_metric(ours), {}, value, other, reason, other_reason, differing, note=ours.bound_brief, bound=ours.bound)


def _axis(rule: Rule, report: Report) -> Axis:
    axes = {axis.dimension.name: axis for axis in report.axes}
    if rule.metric not in axes:
        raise SettingsError(
            "unknown-dimension", f"the rule {rule.text!r} is about an axis {rule.metric!r} that does not exist", did_you_mean(rule.metric, axes)
        )
    return axes[rule.metric]


def _unknown(rule: Rule, reports: Sequence[Report]) -> SettingsError:
    records = [r for report in reports for r in report.records]
    measured = list(dict.fromkeys(r.metric.name for r in records if r.metric is not None))
    axes = [axis.dimension.name for axis in reports[0].axes]
    of_evaluator = list(dict.fromkeys(r.metric.name for r in records if r.metric is not None and r.evaluator == rule.metric))
    if of_evaluator:
        hint = f"{rule.metric} is an evaluator; it measures {_listed(of_evaluator)}" + (f"; or {AXES}.{rule.metric}" if rule.metric in axes else "")
    elif rule.metric in axes:
        hint = f"write {AXES}.{rule.metric} for the score of that axis"
    else:
        near = close_names(rule.metric, dict.fromkeys([*measured, *TITLES])) or tuple(name for name in measured if rule.metric.casefold() in name)
        hint = f"did you mean {' or '.join(near[:3])}?" if near else f"the run has {_listed(measured)}"
    return SettingsError(UNKNOWN, f"the rule {rule.text!r} is about a metric {rule.metric!r} that does not exist", hint)


def _no_such_conditions(rule: Rule, records: Iterable[Record]) -> SettingsError:
    options: dict[str, dict[str, None]] = {}
    for record in records:
        for key, value in record.outcome.conditions.items():
            options.setdefault(key, {})[f'"{value}"' if "," in str(value) else str(value)] = None
    wrong = next((key for key in rule.conditions if key not in options), None)
    told = ", ".join(f"{key}={value}" for key, value in rule.conditions.items())
    if not options:
        hint = f"it has no conditions: write {rule.metric}"
    elif wrong is not None and (near := close_names(wrong, options)):
        hint = f"did you mean {near[0]}? It was measured under {near[0]}: {_listed(list(options[near[0]]))}"
    else:
        hint = "it was measured under " + "; ".join(f"{key}: {_listed(list(values))}" for key, values in options.items() if key in rule.conditions or wrong)
        hint = hint if any(key in rule.conditions for key in options) or wrong else f"it was measured under other conditions: {_listed(list(options))}"
    return SettingsError(CODE, f"the rule {rule.text!r}: no run has {rule.metric} under {told or 'these conditions'}", hint)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
