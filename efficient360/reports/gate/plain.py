"""A check as plain data, for other programs."""

from typing import Any, Final

from efficient360.core.findings import findings_to_json
from efficient360.reports.gate import words
from efficient360.reports.gate.results import Check, RuleResult

SCHEMA_VERSION: Final = 1


def to_json(result: Check) -> dict[str, Any]:
    """The check as dictionaries, lists, texts and finite numbers; ``null`` where there is no number."""
    return {
        "schema_version": SCHEMA_VERSION,
        "passed": result.passed,
        "headline": words.headline(result),
        "run": {"name": result.run, "folder": result.run_folder},
        "baseline": {"name": result.baseline, "folder": result.baseline_folder} if result.baseline_folder else None,
        "alpha": result.alpha,
        "strict": result.strict,
        "proven": result.proven,
        "tests": result.tests,
        "findings": findings_to_json(result.findings),
        "results": [_result(r) for r in result.results],
    }


def _result(r: RuleResult) -> dict[str, Any]:
    return {
        "rule": r.rule.text,
        "kind": r.rule.kind.value,
        "name": r.rule.name,
        "why": r.rule.why,
        "state": r.state.value,
        "fails": r.fails,
        "evaluator": r.evaluator,
        "metric": r.rule.metric,
        "conditions": dict(r.conditions),
        "unit": None if r.metric is None else str(r.metric.unit),
        "quantity": None if r.limit is None else r.limit.quantity.value,
        "limit": None if r.limit is None else r.limit.amount,
        "value": None if r.value is None else r.value.value,
        "baseline": None if r.baseline is None else r.baseline.value,
        "change": r.change,
        "interval": None if r.interval is None else [r.interval.low, r.interval.high],
        "p_value": r.p_value,
        "p_adjusted": r.adjusted,
        "reason": r.reason,
        "sentence": words.sentence(r),
    }
