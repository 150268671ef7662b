"""What became of the rules that a run was held against, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from efficient360.core.findings import Finding
from efficient360.core.measurement import Conditions, Interval, Measurement, Metric
from efficient360.reports.gate.rule import Limit, Rule


class State(StrEnum):
    """What became of a rule."""

    PASSED = "passed"
    FAILED = "failed"
    """Broken, beyond chance; under ``strict``, broken at all; under ``proven``, a requirement that the interval does not keep."""
    UNDECIDED = "undecided"
    """Broken, but not beyond chance, or by values that can't be tested or compared."""
    MISSING = "missing"
    """The run or the baseline has no value, or one that is void."""


@final
@dataclass(frozen=True)
class RuleResult:
    """What became of a rule at one value.

    Args:
        rule: The rule.
        evaluator: Evaluator of the value; ``"axes"`` for the score of an axis.
        metric: Its metric; ``None`` where no run says more than its name.
        conditions: What else was fixed.
        limit: The limit in numbers; ``None`` without a metric.
        value: The run's value; ``None`` where it is missing.
        baseline: The baseline's; ``None`` where it is missing, or not asked for.
        change: What is held against the limit where that is a change: a difference in the metric's unit, or a share of the baseline.
        interval: 95 % interval of the value, or of the change.
        p_value: One-sided chance of a value so far beyond the limit if the truth lay on it; ``None`` where nothing was tested.
        adjusted: The same, Holm-adjusted over all tests of the check.
        state: What became of it.
        fails: Whether the check fails for it.
        reason: How it was decided, or why it was not.
        tests: Number of tests of the check, which its p-value is adjusted for.
    """

    rule: Rule
    evaluator: str
    metric: Metric | None
    conditions: Conditions
    limit: Limit | None
    value: Measurement | None
    baseline: Measurement | None
    change: float | None
    interval: Interval | None
    p_value: float | None
    adjusted: float | None
    state: State
    fails: bool
    reason: str
    tests: int = 1


@final
@dataclass(frozen=True)
class Check:
    """A run held against rules.

    Args:
        run: Name of the run's checkpoint.
        run_folder: Its folder.
        baseline: Name of the baseline's; ``""`` without one.
        baseline_folder: Its folder; ``""`` without one.
        results: One per rule and value.
        alpha: Chance of a false alarm of the whole check.
        strict: Whether values decide by themselves, and what is missing or undecided fails.
        tests: Number of tests that the p-values are adjusted for.
        findings: Reasons to trust the run less, whatever the rules say, and what disturbed the timings that rules are about.
        proven: Whether a requirement fails where its interval does not keep it.
    """

    run: str
    run_folder: str
    baseline: str
    baseline_folder: str
    results: Sequence[RuleResult]
    alpha: float
    strict: bool
    tests: int
    findings: Sequence[Finding] = ()
    proven: bool = False

    @property
    def passed(self) -> bool:
        """Whether no rule fails the check."""
        return not self.failures

    @property
    def failures(self) -> Sequence[RuleResult]:
        """The results that fail the check."""
        return [result for result in self.results if result.fails]
