"""What a measurement is: a metric's identity, a finite value with its interval and conditions, or the reason there is none."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NewType, final

from efficient360.core.figures import Figure
from efficient360.errors import Efficient360Error

Unit = NewType("Unit", str)
"""A unit's symbol as printed, without prefix: ``"B"``, ``"MAC"``, ``"s"``; ``"1"`` for counts and fractions."""

ONE = Unit("1")
BYTE = Unit("B")
MAC = Unit("MAC")
SECOND = Unit("s")
JOULE = Unit("J")
NAT = Unit("nat")

LEVEL = 0.95
"""Confidence level of an interval that doesn't say another."""

Scalar = str | int | float | bool
Conditions = Mapping[str, Scalar]
"""What else was fixed when the number was taken: ``{"corruption": "fog", "severity": 3}``."""


class Better(StrEnum):
    """Which way is better. ``NEITHER`` marks a quantity that only describes."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class Status(StrEnum):
    """Why there is no value."""

    FAILED = "failed"
    UNSUPPORTED = "unsupported"
    NOT_RUN = "not-run"


@final
@dataclass(frozen=True)
class Metric:
    """A quantity's identity. Its direction travels with it; nothing downstream guesses.

    Args:
        name: Stable snake_case name (``top1``, ``weight_bytes``).
        unit: Unit without prefix.
        better: Which way is better.
        description: One sentence in plain words: what the number means.
        source: Where the definition comes from (paper, section or equation).
        low: Smallest possible value, ``None`` when unbounded.
        high: Largest possible value, ``None`` when unbounded.
    """

    name: str
    unit: Unit
    better: Better
    description: str
    source: str = ""
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name != self.name.lower():
            raise ValueError(f"metric name {self.name!r} is not snake_case")


@final
@dataclass(frozen=True)
class Interval:
    """An interval of a measured value, in the metric's unit: a confidence interval, or a range without a level.

    Args:
        low: Lower end.
        high: Upper end, at least ``low``.
        method: How it was made (``wilson``, ``bootstrap``, ``clopper-pearson`` …).
        level: Confidence level in (0, 1); ``None`` for what has none, such as the range of a few repeats.
        conditional_on: What a rerun with another seed would draw anew while the interval holds it fixed (``"one shuffle of the weights"``); ``""`` where it
            holds all the variation of a rerun. Two intervals that hold something fixed can't tell two models apart.
    """

    low: float
    high: float
    method: str
    level: float | None = LEVEL
    conditional_on: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"not an interval: [{self.low}, {self.high}]")
        if self.level is not None and not 0 < self.level < 1:
            raise ValueError(f"not a confidence level: {self.level}")

    def given(self, conditional_on: str) -> "Interval":
        """The same, saying what it holds fixed."""
        return replace(self, conditional_on=conditional_on)


@final
@dataclass(frozen=True, repr=False)
class Measurement:
    """One finite number in its metric's unit.

    Args:
        metric: What was measured.
        value: The number, finite and within the metric's bounds.
        n: How many examples or repeats it rests on, at least 1.
        interval: Interval, 95 % unless it says otherwise; ``None`` where the value is exact (a parameter count) or has none.
        conditions: What else was fixed.
        samples: Raw repeats where repeats were taken, in the metric's unit.
        extra: Curves, tables and pictures that a report draws beside the number.
        void: Why the number means nothing here, in the evaluator's own judgement; ``""`` where it does. It is shown with the reason, and has no score.
        repeatable: Whether a rerun with another seed gives the same number. A value without an interval is exact only then.
    """

    metric: Metric
    value: float
    n: int = 1
    interval: Interval | None = None
    conditions: Conditions = field(default_factory=dict)
    samples: tuple[float, ...] = ()
    extra: tuple[Figure, ...] = ()
    void: str = ""
    repeatable: bool = True

    @property
    def exact(self) -> bool:
        """Whether the value has no uncertainty."""
        return self.interval is None and self.repeatable

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"{self.metric.name} is {self.value}: a measurement is finite, what could not be measured is a Failure")
        low = -math.inf if self.metric.low is None else self.metric.low
        high = math.inf if self.metric.high is None else self.metric.high
        if not low <= self.value <= high:
            raise ValueError(f"{self.metric.name} is {self.value}, outside its bounds [{low}, {high}]")
        if self.n < 1:
            raise ValueError(f"{self.metric.name} rests on {self.n} examples")
        if not all(map(math.isfinite, self.samples)):
            raise ValueError(f"a sample of {self.metric.name} is not finite")

    def __repr__(self) -> str:
        """One line: the number with its unit, interval, ``n`` and conditions; not its samples and figures."""
        unit = "" if self.metric.unit == ONE else f" {self.metric.unit}"
        interval = "exact" if self.exact else "no interval" if self.interval is None else _ends(self.interval)
        conditions = "".join(f", {key}={value}" for key, value in self.conditions.items())
        void = f", void: {self.void}" if self.void else ""
        return f"<Measurement {self.metric.name} {self.value:.6g}{unit}, {interval}, n={self.n}{conditions}{void}>"


def _ends(interval: Interval) -> str:
    level = "range" if interval.level is None else f"{100 * interval.level:g} %"
    return f"{level} [{interval.low:.6g}, {interval.high:.6g}]"


@final
@dataclass(frozen=True)
class Failure:
    """Why a metric has no value. Drawn as a gap; never 0, NaN or −1.

    Args:
        status: ``failed`` (it was tried), ``unsupported`` (it can't be), ``not-run`` (it was not reached).
        code: Stable kebab-case reason.
        message: One sentence for a person.
        hint: What to do next.
        metric: The metric that has no value; ``None`` stands for all of the evaluator's.
        conditions: What else was fixed.
    """

    status: Status
    code: str
    message: str
    hint: str = ""
    metric: Metric | None = None
    conditions: Conditions = field(default_factory=dict)

    @classmethod
    def of(cls, status: Status, error: Efficient360Error, metric: Metric | None = None) -> "Failure":
        """The failure that an error's own code, sentence and hint tell of."""
        return cls(status, error.code, error.message, error.hint, metric)


Outcome = Measurement | Failure
