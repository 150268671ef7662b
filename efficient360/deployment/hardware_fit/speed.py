"""Multiply-adds per second: of a network, of one against another, and the peak of a device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from efficient360.core.measurement import Failure, Interval, Status
from efficient360.deployment.devices.timing import ArtefactResult, Timing
from efficient360.deployment.hardware_fit.networks import gemm_macs
from efficient360.deployment.runtimes import catalogue


@final
@dataclass(frozen=True)
class Speed:
    """Multiply-adds a second at batch 1.

    Args:
        value: At the median time.
        low: At the upper end of the median's interval.
        high: At its lower end.
        method: How that interval was made.
    """

    value: float
    low: float
    high: float
    method: str

    @property
    def interval(self) -> Interval:
        """That of the median time, turned over."""
        return Interval(self.low, self.high, self.method)

    def over(self, other: "Speed") -> tuple[float, Interval]:
        """How many times as fast as another, with an interval that holds whenever both speeds' intervals hold: wider than a 95 % one."""
        return self.value / other.value, Interval(self.low / other.high, self.high / other.low, "quotient")


def speed(macs: int, timing: Timing) -> Speed:
    """Speed of a network that computes ``macs`` multiply-adds for an image."""
    return Speed(macs / timing.p50, macs / timing.interval.high, macs / timing.interval.low, timing.interval.method)


def speed_of(cell: ArtefactResult | Failure, macs: int | None) -> Speed | Failure:
    """Speed of a network in a cell; why there is none where it failed, answers wrongly, or its multiply-adds are not known (``None``)."""
    if isinstance(cell, Failure):
        return cell
    if cell.failure is not None:
        return cell.failure
    if cell.timing is None or not cell.rankable:
        if cell.parity is None:
            return Failure(Status.UNSUPPORTED, "unchecked", f"{cell.exclusion_reason}, so its speed does not count", "take a device that runs the kit")
        message = f"the artefact does not answer as the network does: {cell.exclusion_reason}"
        return Failure(Status.FAILED, "parity", message, "a wrong answer's speed says nothing")
    if macs is None:
        return Failure(Status.UNSUPPORTED, "uncounted-operators", "its multiply-adds can't be counted: it has operators whose cost is not known", "see macs")
    return speed(macs, cell.timing)


PEAK_RUNTIMES = ("onnxruntime", "openvino", "litert")
"""Runtimes whose matrix products come near what a CPU can do; PyTorch's can be far from it."""


@final
@dataclass(frozen=True)
class PeakSpeed:
    """The peak of a device.

    Args:
        speed: Multiply-adds a second.
        label: ``runtime:precision`` that reached it.
    """

    speed: Speed
    label: str


def peak_of(cells: Sequence[ArtefactResult]) -> PeakSpeed | Failure:
    """The fastest of the cells of :func:`efficient360.deployment.hardware_fit.networks.gemm_network` whose answers are right."""
    speeds = [(cell.artefact.label, speed(gemm_macs(), cell.timing)) for cell in cells if cell.rankable and cell.timing is not None]
    if speeds:
        label, best = max(speeds, key=lambda entry: entry[1].value)
        return PeakSpeed(best, label)
    reason = next((cell.failure.message for cell in cells if cell.failure is not None), "")
    if reason:
        return Failure(Status.FAILED, "no-peak", f"no runtime could time matrix products on this device: {reason}", "see the other failures")
    wanted = ", ".join(catalogue.runtime(name).title for name in PEAK_RUNTIMES)
    return Failure(Status.UNSUPPORTED, "no-peak", f"the peak is measured in one of {wanted}, and none is there", "pip install 'efficient360[onnxruntime]'")


def peak_runtimes() -> list[str]:
    """Those of :data:`PEAK_RUNTIMES` that are installed."""
    installed = catalogue.installed()
    return [name for name in PEAK_RUNTIMES if name in installed]
