"""What disturbed the timings that rules are about, in the run and in the baseline."""

from collections.abc import Iterator, Sequence

from efficient360.core.findings import DISTURBED, Finding, disturbance, findings_in
from efficient360.reports.gate.results import RuleResult
from efficient360.reports.gate.rule import AXES
from efficient360.reports.report import Report


def disturbances(run: Report, baseline: Report | None, results: Sequence[RuleResult]) -> list[Finding]:
    """One finding for each of the two whose timing was disturbed, where a rule is about a value of it."""
    ours = _evaluators(run, [r for r in results if r.value is not None and not r.value.exact])
    theirs = _evaluators(run, [r for r in results if r.baseline is not None and not r.baseline.exact])
    return [*_of(run, ours, "the run"), *([] if baseline is None else _of(baseline, theirs, "the baseline"))]


def _evaluators(report: Report, results: Sequence[RuleResult]) -> set[str]:
    axes = {r.rule.metric for r in results if r.evaluator == AXES}
    return {r.evaluator for r in results} | {part.anchor.evaluator for axis in report.axes if axis.dimension.name in axes for part in axis.parts}


def _of(report: Report, evaluators: set[str], whose: str) -> Iterator[Finding]:
    outcomes = [r.outcome for r in report.records if r.evaluator in evaluators]
    found = [finding for outcome in outcomes for finding in findings_in(outcome) if finding.code == DISTURBED]
    if found:
        yield disturbance(found, f"the timing of {whose}")
