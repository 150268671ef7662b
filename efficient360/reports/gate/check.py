"""A run held against rules: which are kept, which are broken beyond chance, and which nothing decides."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from efficient360.core.measurement import Measurement
from efficient360.core.statistics import holm
from efficient360.dimensions.dimension import Bound
from efficient360.errors import SettingsError
from efficient360.reports.comparability import in_words
from efficient360.reports.comparing.example_values import Paired, pair
from efficient360.reports.comparing.run import Run
from efficient360.reports.gate.disturbances import disturbances
from efficient360.reports.gate.evidence import Evidence, change_evidence, is_positive, paired_evidence, ratio_evidence, value_evidence
from efficient360.reports.gate.results import Check, RuleResult, State
from efficient360.reports.gate.rule import Kind, Limit, Quantity, Rule, limit_of
from efficient360.reports.gate.selection import Subject, subjects
from efficient360.reports.gate.shown import caution, is_shown

ALPHA: Final = 0.025
"""Chance of a false alarm of the whole check where nothing is said: one-sided, so that a 95 % interval that lies beyond a limit fails a lone rule."""


def check(run: Run, rules: Sequence[Rule], baseline: Run | None = None, alpha: float = ALPHA, strict: bool = False, proven: bool = False) -> Check:
    """Hold a run against rules.

    A rule fails where it is broken beyond chance: where the chance of a value so far beyond the limit, if the truth lay on it, is below ``alpha`` after Holm's
    correction over all tests of the check. So a check of a model that breaks none of its rules fails in at most ``alpha`` of the cases, however many rules
    there are. Changes are tested in pairs where both runs kept values of the same examples, else by the intervals of the two values; exact values need no test.

    Args:
        run: The run.
        rules: At least one.
        baseline: What changes are measured from.
        alpha: Chance of a false alarm of the whole check, in (0, 0.5).
        strict: Values decide by themselves, without regard to chance, and what is missing or undecided fails.
        proven: A requirement fails, too, where its value keeps it and its 95 % interval does not, or it has none.

    Raises:
        SettingsError: There is no rule, a rule doesn't fit its metric or needs a baseline (``bad-rule``), or a metric doesn't exist (``unknown-metric``).
    """
    if not rules:
        raise SettingsError(
            "bad-rule", "there is no rule to check", "give one: --fail-if 'top1 < -0.5pt' --baseline RUN, --require 'top1 >= 90%', or --rules FILE"
        )
    if not 0 < alpha < 0.5:
        raise SettingsError("bad-option", f"alpha is {alpha}", "give a chance of a false alarm above 0 and below 0.5, such as 0.025")
    if baseline is None and (needy := next((rule for rule in rules if rule.compares), None)) is not None:
        raise SettingsError("no-baseline", f"the rule {needy.text!r} is about a change, and there is no baseline", "name one: --baseline RUN")
    base = None if baseline is None else baseline.report
    found = [_examined(rule, subject, run, baseline) for rule in rules for subject in subjects(rule, run.report, base if rule.compares else None)]
    tested = [i for i, result in enumerate(found) if result.p_value is not None]
    adjusted = dict(zip(tested, holm([p for result in found if (p := result.p_value) is not None]), strict=True))
    results = [_decided(replace(result, tests=len(tested)), adjusted.get(i), alpha, strict, proven) for i, result in enumerate(found)]
    told = [("", "") if one is None else (one.name, str(one.folder)) for one in (run, baseline)]
    findings = [*run.report.findings, *disturbances(run.report, base, results)]
    return Check(*told[0], *told[1], results, alpha, strict, len(tested), findings, proven)


def _pair(subject: Subject, run: Run, baseline: Run | None) -> Paired | None:
    """Values of the same examples behind a value of the baseline, first, and of the run."""
    if subject.records is None or baseline is None:
        return None
    ours, theirs = subject.records
    return pair(baseline.values(theirs), run.values(ours))


def _examined(rule: Rule, subject: Subject, run: Run, baseline: Run | None) -> RuleResult:
    """The result before the p-values are adjusted: ``passed`` where the value keeps the rule, else ``undecided``, or ``failed`` where it is exact."""
    limit = None if subject.metric is None else limit_of(rule, subject.metric)
    blank = RuleResult(
        rule, subject.evaluator, subject.metric, subject.conditions, limit, subject.value, subject.baseline, None, None, None, None, State.MISSING, False, ""
    )
    if limit is None or subject.value is None:
        return replace(blank, reason=subject.missing)
    if limit.quantity is Quantity.VALUE:
        m = subject.value
        broken = rule.breaks(m.value - limit.amount, abs(m.value) + abs(limit.amount))
        if broken and subject.bound in (Bound.LOWER, Bound.OTHER):  # the axis's own settings might give more
            return replace(blank, state=State.UNDECIDED, interval=m.interval, reason=subject.note)
        return _noted(_with(blank, value_evidence(m, limit.amount, rule.worse_below), broken), subject)
    if subject.baseline is None:
        return replace(blank, reason=f"baseline: {subject.baseline_missing}")
    if subject.differing:
        return replace(blank, state=State.UNDECIDED, reason=f"not comparable: {in_words(subject.differing)}")
    return _noted(_changed(blank, subject.value, subject.baseline, limit, _pair(subject, run, baseline)), subject)


def _noted(result: RuleResult, subject: Subject) -> RuleResult:
    return replace(result, reason=f"{result.reason}; {subject.note}") if subject.note else result


def _changed(blank: RuleResult, run: Measurement, baseline: Measurement, limit: Limit, paired: Paired | None) -> RuleResult:
    relative = limit.quantity is Quantity.RELATIVE
    if relative and baseline.value <= 0:
        return replace(blank, state=State.UNDECIDED, reason=f"a share of a baseline of {baseline.value:g} means nothing")
    factor, shift = (1 + limit.amount, 0.0) if relative else (1.0, limit.amount)
    change = run.value - baseline.value
    broken = blank.rule.breaks(run.value - factor * baseline.value - shift, abs(run.value) + abs(factor * baseline.value) + abs(shift))
    below = blank.rule.worse_below
    if paired is not None:
        evidence = paired_evidence(paired, factor, shift, below)
    elif relative and factor > 0 and is_positive(run) and is_positive(baseline):
        evidence = ratio_evidence(run, baseline, factor, below)
    else:
        evidence = change_evidence(run, baseline, factor, shift, below)
    if not relative:
        return _with(replace(blank, change=change), evidence, broken)
    share = (
        None
        if evidence.interval is None
        else replace(evidence.interval, low=evidence.interval.low / baseline.value, high=evidence.interval.high / baseline.value)
    )
    return _with(replace(blank, change=change / baseline.value), replace(evidence, interval=share), broken)


def _with(result: RuleResult, evidence: Evidence, broken: bool) -> RuleResult:
    state = State.PASSED if not broken else State.FAILED if evidence.exact else State.UNDECIDED
    return replace(result, state=state, interval=evidence.interval, p_value=evidence.p_value, reason=evidence.basis)


def _decided(result: RuleResult, adjusted: float | None, alpha: float, strict: bool, proven: bool) -> RuleResult:
    """The result with its adjusted p-value: what is broken fails where that lies below ``alpha``, or under ``strict``; what is not shown under ``proven``."""
    broken = result.state is State.UNDECIDED and result.p_value is not None
    certain = broken and adjusted is not None and adjusted < alpha
    state = State.FAILED if certain or (strict and result.state is State.UNDECIDED) else result.state
    fails = state is State.FAILED or (state is State.MISSING and (strict or result.rule.kind is Kind.REQUIRE))
    told = caution(result, None if strict else alpha)
    decided = replace(result, adjusted=adjusted, state=state, fails=fails, reason=f"{result.reason}; {told}" if told else result.reason)
    if not proven or result.rule.kind is not Kind.REQUIRE or state in (State.FAILED, State.MISSING) or is_shown(result):
        return decided
    return replace(decided, state=State.FAILED, fails=True, reason=decided.reason if told else f"{decided.reason}; not shown")
