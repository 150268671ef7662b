"""The rules of a gate as people write them: ``top1 < -0.5pt``, ``latency_p50 > +10%``, ``robust_accuracy[epsilon=4/255] >= 20%``, ``axes.privacy >= 0.5``."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, final

from efficient360.core import formatting
from efficient360.core.measurement import ONE, Better, Metric, Unit
from efficient360.errors import SettingsError

CODE: Final = "bad-rule"
AXES: Final = "axes"
"""What stands before the name of an axis, in place of an evaluator."""
FORM: Final = "write METRIC < LIMIT, such as 'top1 < -0.5pt', 'latency_p50 > +10%', 'robust_accuracy[epsilon=4/255] >= 20%' or 'axes.privacy >= 0.5'"

_RULE: Final = re.compile(r"\s*(?P<metric>[^\s\[\]<>=≤≥]+)\s*(?:\[(?P<conditions>.*)\])?\s*(?P<sign><=|>=|==|=|!=|<|>|≤|≥)\s*(?P<limit>.*?)\s*")
_LIMIT: Final = re.compile(r"(?P<sign>[-+−]?)\s*(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>.*)")
_CONDITION: Final = re.compile(r"\s*(?P<key>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<plain>[^,\"]*?))\s*(?:,|$)")
_PREFIXES: Final = {"": 1.0, "n": 1e-9, "µ": 1e-6, "μ": 1e-6, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY: Final = {"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_POINTS: Final = ("pt", "pts", "pp")
_RELATIVE: Final = ("%rel", "% rel")


class Kind(StrEnum):
    """What a rule asks for."""

    FAIL_IF = "fail if"
    """What it says must not be: a limit with a sign is a change against the baseline, one without is the value."""
    REQUIRE = "require"
    """What it says must be; the limit is the value, and a missing value fails."""


class Quantity(StrEnum):
    """What is held against the limit."""

    VALUE = "value"
    CHANGE = "change"
    """The run's value minus the baseline's, in the metric's unit."""
    RELATIVE = "relative change"
    """That difference as a share of the baseline's value."""


@final
@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        kind: Whether it says what must not be, or what must be.
        text: As it was written.
        evaluator: Evaluator of the metric, ``"axes"`` for the score of an axis, ``""`` for whichever measures it.
        metric: Name of the metric or axis.
        conditions: Conditions of the value, as texts.
        every: Whether it is about every value of the metric (``[*]``), not the axis's summary value alone.
        below: Whether it speaks of values below the limit (``<``), not above it.
        inclusive: Whether the limit itself belongs to them.
        signed: Whether the limit has a sign.
        number: The limit as written, with its sign.
        unit: What stands behind it.
        name: What reports put before its text; may be empty.
        why: Why it is there, for whoever reads that it failed.
    """

    kind: Kind
    text: str
    evaluator: str
    metric: str
    below: bool
    inclusive: bool
    number: float
    signed: bool
    unit: str
    conditions: Mapping[str, str] = field(default_factory=dict)
    every: bool = False
    name: str = ""
    why: str = ""

    @property
    def title(self) -> str:
        """What reports call it: what it says, behind its name if it has one."""
        return f"{f'{self.name}: ' if self.name else ''}{self.kind} {self.text}"

    @property
    def compares(self) -> bool:
        """Whether it needs a baseline."""
        return self.kind is Kind.FAIL_IF and (self.signed or self.unit in (*_POINTS, *_RELATIVE))

    def breaks(self, distance: float, scale: float) -> bool:
        """Whether a value breaks the rule.

        Args:
            distance: The value minus the limit.
            scale: Size of the numbers involved, for what is a difference of rounding only.
        """
        within = self.inclusive if abs(distance) <= 1e-12 * scale else (distance < 0) == self.below
        return within if self.kind is Kind.FAIL_IF else not within

    @property
    def worse_below(self) -> bool:
        """Whether the values that break it lie below the limit."""
        return self.below if self.kind is Kind.FAIL_IF else not self.below


@final
@dataclass(frozen=True)
class Limit:
    """A rule's limit in numbers.

    Args:
        quantity: What is held against it.
        amount: In the metric's unit; a share for a relative change.
    """

    quantity: Quantity
    amount: float


def parse_rule(kind: Kind, text: str, name: str = "", why: str = "") -> Rule:
    """The rule in a text.

    Raises:
        SettingsError: It is no rule (``bad-rule``).
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise _bad(text, "is not a rule", FORM)
    if match["sign"] in ("=", "==", "!="):
        raise _bad(text, "asks for equality, which no measured number has", FORM)
    limit = _LIMIT.fullmatch(match["limit"])
    if limit is None:
        raise _bad(text, f"has no number behind {match['sign']}", FORM)
    evaluator, metric = _split_name(match["metric"])
    conditions = match["conditions"]
    every = conditions is not None and conditions.strip() == "*"
    number = float(limit["number"]) * (-1 if limit["sign"] in ("-", "−") else 1)
    if not math.isfinite(number):
        raise _bad(text, f"has the limit {limit['number']}, which is no finite number", FORM)
    return Rule(
        kind=kind,
        text=" ".join(text.split()),
        evaluator=evaluator,
        metric=metric,
        below=match["sign"] in ("<", "<=", "≤"),
        inclusive=match["sign"] in ("<=", ">=", "≤", "≥"),
        number=number,
        signed=bool(limit["sign"]),
        unit=limit["unit"].strip(),
        conditions={} if every else _conditions(text, conditions or ""),
        every=every,
        name=name,
        why=why,
    )


def limit_of(rule: Rule, metric: Metric) -> Limit:
    """The rule's limit in the unit of its metric.

    Raises:
        SettingsError: The unit is not the metric's, or the rule can never fail, always fails or fails what is better (``bad-rule``).
    """
    if rule.kind is Kind.REQUIRE and rule.unit in (*_POINTS, *_RELATIVE):
        raise _bad(rule.text, "is a change, and a requirement is about the value itself", f"a change is forbidden with fail-if: '{metric.name} < -0.5pt'")
    limit = _in_unit(rule, metric)
    _require_direction(rule, metric)
    if limit.quantity is Quantity.VALUE:
        _require_decisive(rule, metric, limit.amount)
    return limit


def _in_unit(rule: Rule, metric: Metric) -> Limit:
    fraction, name = formatting.is_fraction(metric), metric.name
    if rule.compares:
        if rule.unit in _POINTS:
            if not fraction:
                hint = f"give a share, as '{name} {_worse(metric)}10%', or {_example(metric)}"
                raise _bad(rule.text, f"has percentage points, and {name} is in {_unit_name(metric)}", hint)
            return Limit(Quantity.CHANGE, rule.number / 100)
        if rule.unit in _RELATIVE or (rule.unit == "%" and not fraction):
            return Limit(Quantity.RELATIVE, rule.number / 100)
        if rule.unit == "%":
            points = f"{rule.number / 100:+g} for points of the score" if rule.evaluator == AXES else f"{rule.number:+g}pt for percentage points"
            why = "a score lies between 0 and 1" if rule.evaluator == AXES else f"{name} is in percent itself"
            raise _bad(rule.text, f"can be read in two ways, as {why}", f"write {points}, or {rule.number:+g}%rel for a share of the baseline")
        return Limit(Quantity.CHANGE, _amount(rule, metric))
    if rule.kind is Kind.FAIL_IF and rule.unit == "%" and not fraction:
        change = f"{name} {_worse(metric)}{rule.number:g}%"
        raise _bad(rule.text, f"has the unit '%', and {name} is in {_unit_name(metric)}", f"did you mean '{change}', a change? A value is {_example(metric)}")
    amount = rule.number / 100 if rule.unit == "%" and fraction else _amount(rule, metric)
    if fraction and not rule.unit and abs(amount) > 1:
        raise _bad(rule.text, f"has no unit, and {name} is in percent", f"write {rule.number:g}% or {rule.number / 100:g}")
    return Limit(Quantity.VALUE, amount)


def _require_decisive(rule: Rule, metric: Metric, amount: float) -> None:
    """Refuse a limit on a value that no value can cross, or that all do."""
    fraction, name = formatting.is_fraction(metric), metric.name
    low = -math.inf if metric.low is None else metric.low
    high = math.inf if metric.high is None else metric.high
    if not low <= amount <= high or amount == (low if rule.worse_below else high):
        bound = "below" if rule.worse_below else "above"
        told = f"{name} is never {bound} {formatting.number(low if rule.worse_below else high, metric)}" if low <= amount <= high else _range(metric, low, high)
        example = f"{name} {_worse(metric)}{'0.5pt' if fraction else '10%'}"
        raise _bad(rule.text, f"decides nothing: {told}", f"a change against the baseline has a sign and is given to fail-if: '{example}'")


def _require_direction(rule: Rule, metric: Metric) -> None:
    if metric.better is Better.NEITHER or rule.worse_below == (metric.better is Better.HIGHER):
        return
    sign = (">" if rule.below else "<") + ("=" if rule.inclusive else "")
    if rule.compares:  # what is worse is on the other side of no change, too
        limit = f"{'+' if metric.better is Better.LOWER else '-'}{abs(rule.number):g}"
    else:
        limit = f"{rule.number:+g}" if rule.signed else f"{rule.number:g}"
    raise _bad(rule.text, f"fails a run for being better: {metric.name} is better when {metric.better}", f"write '{metric.name} {sign} {limit}{rule.unit}'")


def _amount(rule: Rule, metric: Metric) -> float:
    """The number in the metric's unit."""
    unit = rule.unit
    if rule.number == 0 and not unit:
        return 0.0
    if metric.unit == ONE:
        if unit in _PREFIXES and unit not in ("m", "u", "n", "µ", "μ"):
            return rule.number * _PREFIXES[unit]
    elif unit.endswith(metric.unit) and unit.removesuffix(metric.unit) in _PREFIXES:
        return rule.number * _PREFIXES[unit.removesuffix(metric.unit)]
    elif metric.unit == "B" and unit in _BINARY:
        return rule.number * _BINARY[unit]
    elif metric.unit == "s" and unit == "min":
        return rule.number * 60
    what = f"has the unit {unit!r}" if unit else "has no unit"
    raise _bad(rule.text, f"{what}, and {metric.name} is in {_unit_name(metric)}", f"write {_example(metric)}")


def _conditions(text: str, listed: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while position < len(listed.rstrip().rstrip(",")):
        match = _CONDITION.match(listed, position)
        if match is None:
            raise _bad(text, f"has conditions that can't be read: [{listed}]", 'write [epsilon=4/255, attack="worst case"], or [*] for every value')
        found[match["key"]] = match["plain"] if match["quoted"] is None else match["quoted"]
        position = match.end()
    return found


def _split_name(name: str) -> tuple[str, str]:
    before, dot, after = name.replace("/", ".").rpartition(".")
    return (before, after) if dot else ("", name)


def _unit_name(metric: Metric) -> str:
    return "percent" if formatting.is_fraction(metric) else "no unit" if metric.unit == ONE else str(metric.unit)


def _example(metric: Metric) -> str:
    examples: dict[Unit, str] = {Unit("s"): "20ms or 1.5s", Unit("B"): "22MB or 20MiB", Unit("MAC"): "1.3GMAC", Unit("J"): "5mJ"}
    if formatting.is_fraction(metric):
        return "20% or 0.2"
    return "a plain number, such as 0.5 or 5.7M" if metric.unit == ONE else examples.get(metric.unit, f"0.5{metric.unit}")


def _worse(metric: Metric) -> str:
    return "> +" if metric.better is Better.LOWER else "< -"


def _range(metric: Metric, low: float, high: float) -> str:
    ends = [formatting.number(end, metric) for end in (low, high) if math.isfinite(end)]
    return f"{metric.name} lies between {ends[0]} and {ends[1]}" if len(ends) == 2 else f"{metric.name} is at least {ends[0]}"


def _bad(text: str, what: str, hint: str) -> SettingsError:
    return SettingsError(CODE, f"the rule {text!r} {what}", hint)
