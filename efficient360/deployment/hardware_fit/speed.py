"""Multiply-adds a second, and one speed against another."""

from dataclasses import dataclass
from typing import final

from efficient360.core.measurement import Failure, Interval, Status
from efficient360.deployment.devices.cell import Cell
from efficient360.deployment.devices.timing import Timing


@final
@dataclass(frozen=True)
class Speed:
    """Multiply-adds a second at batch 1.

    Args:
        value: At the median time.
        low: At the upper end of the median's interval.
        high: At its lower end.
    """

    value: float
    low: float
    high: float

    @property
    def interval(self) -> Interval:
        """That of the median time, turned over."""
        return Interval(self.low, self.high, "block-bootstrap")

    def over(self, other: "Speed") -> tuple[float, Interval]:
        """How many times as fast as another, with an interval that holds whenever both speeds' intervals hold: wider than a 95 % one."""
        return self.value / other.value, Interval(self.low / other.high, self.high / other.low, "quotient")


def speed(macs: int, timing: Timing) -> Speed:
    """Speed of a network that computes ``macs`` multiply-adds for an image."""
    return Speed(macs / timing.p50, macs / timing.interval.high, macs / timing.interval.low)


def speed_of(cell: Cell | Failure, macs: int | None) -> Speed | Failure:
    """Speed of a network in a cell; why there is none where it failed, answers wrongly, or its multiply-adds are not known (``None``)."""
    if isinstance(cell, Failure):
        return cell
    if cell.timing is None:
        assert cell.failure is not None
        return cell.failure
    if not cell.counts:
        reason = cell.parity.reason if cell.parity is not None else ""
        return Failure(Status.FAILED, "parity", f"the artefact does not answer as the network does: {reason}", "a wrong answer's speed says nothing")
    if macs is None:
        return Failure(Status.UNSUPPORTED, "uncounted-operators", "its multiply-adds can't be counted: it has operators whose cost is not known", "see macs")
    return speed(macs, cell.timing)
