"""A checked rule in words: its values, the change and what says that it is beyond chance."""

from collections.abc import Sequence
from typing import Final

from efficient360.core import formatting
from efficient360.core.measurement import Interval, Metric
from efficient360.reports import names
from efficient360.reports.gate.results import Check, RuleResult, State
from efficient360.reports.gate.rule import AXES, Quantity

ORDER: Final = (State.FAILED, State.MISSING, State.UNDECIDED, State.PASSED)


def headline(result: Check) -> str:
    """``Check failed: 2 of 5 rules``, how many other rules are not decided, and how many values they are about where that is more."""
    broken = {id(r.rule) for r in result.failures}
    rules = {id(r.rule) for r in result.results}
    several = f"{len(rules)} rule{'s' if len(rules) != 1 else ''}"
    first = f"Check failed: {len(broken)} of {several}" if broken else f"Check passed: {several}"
    open_rules = {state: len({id(r.rule) for r in result.results if r.state is state and not r.fails} - broken) for state in (State.UNDECIDED, State.MISSING)}
    ends = {State.UNDECIDED: "undecided", State.MISSING: "without a value"}
    told = [f"{count} rule{'s' if count != 1 else ''} {ends[state]}" for state, count in open_rules.items() if count]
    return ", ".join([first, *told]) + (f" ({len(result.results)} values)" if len(result.results) > len(rules) else "")


def against(result: Check) -> str:
    """What was checked against what."""
    return f"{result.run} against {result.baseline}" if result.baseline else result.run


def in_order(result: Check) -> list[RuleResult]:
    """The results as they are read: what fails first, then what is not decided, then what passed."""
    return sorted(result.results, key=lambda r: (not r.fails, ORDER.index(r.state)))


def subject(result: RuleResult) -> str:
    """What a rule is about: ``Median latency, ONNX Runtime · batch size = 1``."""
    if result.evaluator == AXES:
        return f"score of the axis {result.rule.metric}"
    return names.subject(result.rule.metric, result.conditions)


def value(result: RuleResult) -> str:
    """The run's value with its unit; what it is instead of one where it is missing."""
    if result.value is None or result.metric is None:
        return "void" if result.reason.startswith("void:") else "no value"
    return _number(result.value.value, result.metric, result.evaluator)


def baseline(result: RuleResult) -> str:
    """The baseline's value; empty where none is asked for."""
    if not result.rule.compares:
        return ""
    return "no value" if result.baseline is None or result.metric is None else _number(result.baseline.value, result.metric, result.evaluator)


def change(result: RuleResult) -> str:
    """What is held against the limit where that is a change: ``−0.45 pt``, ``+12.3 %``; empty where it is the value."""
    if result.change is None or result.limit is None or result.metric is None:
        return ""
    return signed(result.change, result, result.metric)


def interval(result: RuleResult) -> str:
    """The 95 % interval of the value or the change, ``−1.6 to +0.7 pt``; empty where there is none."""
    if result.interval is None or result.metric is None or result.limit is None:
        return ""
    if result.limit.quantity is Quantity.VALUE:
        return formatting.interval(result.interval, result.metric).replace(" – ", " to ") if result.evaluator != AXES else _scores(result.interval)
    low, high = (signed(end, result, result.metric) for end in (result.interval.low, result.interval.high))
    number, _, unit = low.partition(" ")
    return f"{number} to {high}" if unit == high.partition(" ")[2] else f"{low} to {high}"


def evidence(result: RuleResult) -> str:
    """What decided, or why nothing did: ``adjusted p < 0.001, paired test over 897 examples``."""
    if result.adjusted is None or result.state is State.PASSED or _keeps(result):
        return result.reason
    p = "p < 0.001" if result.adjusted < 1e-3 else f"p = {result.adjusted:.3f}"
    return f"{'adjusted ' if result.tests > 1 else ''}{p}, {result.reason}"


def _keeps(result: RuleResult) -> bool:
    """Whether a rule about a value is kept by it, though the check asks for more."""
    if result.value is None or result.limit is None or result.limit.quantity is not Quantity.VALUE:
        return False
    value, limit = result.value.value, result.limit.amount
    return not result.rule.breaks(value - limit, abs(value) + abs(limit))


def sentence(result: RuleResult) -> str:
    """All of it in one line: what, from where to where, by how much, how sure."""
    if result.state is State.MISSING:
        return f"{subject(result)}: {result.reason}" if result.value is None else f"{subject(result)}: {value(result)}, {result.reason}"
    before, after, by, ends = baseline(result), value(result), change(result), interval(result)
    values = f"{before} → {after}" if before else after
    moved = f", {by}" if by else ""
    return f"{subject(result)}: {values}{moved}{f' (95 %: {ends})' if ends else ''}; {evidence(result)}"


def notes(result: Check) -> Sequence[str]:
    """How the check decided, in sentences."""
    chance = f"{100 * result.alpha:g} %"
    lines = [f"Check first: {finding.message} → {finding.advice}" for finding in result.findings]
    if result.strict:
        lines.append("Strict: values decide by themselves, without regard to chance; what is undecided or missing fails.")
    elif result.tests:
        several = f", Holm-adjusted over {result.tests} tests" if result.tests > 1 else ""
        lines.append(f"A rule fails only beyond chance: one-sided p-values below {result.alpha:g}{several}, so at most {chance} of checks raise a false alarm.")
    if result.proven:
        lines.append("Proven: a requirement fails, too, where its 95 % interval does not keep it.")
    if any(r.state is State.UNDECIDED for r in result.results):
        lines.append(
            "Undecided: the value breaks the rule, but not beyond chance, or it can't be tested. More examples or repeats decide it; --strict fails it."
        )
    return lines


def _number(number: float, metric: Metric, evaluator: str) -> str:
    return f"{number:.2f}" if evaluator == AXES else formatting.number(number, metric)


def signed(number: float, result: RuleResult, metric: Metric) -> str:
    """A change with its sign, as the rule speaks of it: ``−0.45 pt``, ``+12.3 %``."""
    if result.limit is not None and result.limit.quantity is Quantity.RELATIVE:
        text = f"{round(100 * number, 1) + 0.0:.1f} %".replace("-", formatting.MINUS)
    elif result.evaluator == AXES:
        text = f"{round(number, 2) + 0.0:.2f}".replace("-", formatting.MINUS)
    else:
        text = formatting.number(number, metric).replace(" %", " pt")
    return text if text.startswith(formatting.MINUS) or number == 0 else f"+{text}"


def _scores(ends: Interval) -> str:
    return f"{ends.low:.2f} to {ends.high:.2f}"
