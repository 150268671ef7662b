"""What a variant has to meet: a bound on a measured metric, and what an interval says of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from efficient360.core.measurement import Better, Measurement, Metric


class Verdict(StrEnum):
    """Whether a goal is met."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"
    """The interval reaches over the limit."""


@final
@dataclass(frozen=True)
class Goal:
    """A bound on a metric: at most the limit where lower is better, at least it where higher is.

    Args:
        metric: What is bounded; its direction is the bound's.
        limit: In the metric's unit.
    """

    metric: Metric
    limit: float

    def __post_init__(self) -> None:
        if self.metric.better is Better.NEITHER:
            raise ValueError(f"{self.metric.name} has no better direction")

    def violation(self, value: float) -> float:
        """By how much a value misses the limit, in the metric's unit; 0 or below where it meets it."""
        return value - self.limit if self.metric.better is Better.LOWER else self.limit - value

    def verdict(self, measured: Measurement) -> Verdict:
        """What is known of the goal: met or missed only where the whole interval says so."""
        ends = (measured.value, measured.value) if measured.interval is None else (measured.interval.low, measured.interval.high)
        violations = [self.violation(end) for end in ends]
        if max(violations) <= 0:
            return Verdict.MET
        return Verdict.MISSED if min(violations) > 0 else Verdict.UNDECIDED
