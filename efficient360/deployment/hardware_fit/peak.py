"""The most multiply-adds a second that a device reaches: those of the runtime that is fastest at large matrix products."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.cell import Cell
from efficient360.deployment.hardware_fit.products import gemm_macs
from efficient360.deployment.hardware_fit.speed import Speed, speed
from efficient360.deployment.runtimes import catalogue

RUNTIMES = ("onnxruntime", "openvino", "litert")
"""Runtimes whose matrix products come near what a CPU can do; PyTorch's can be far from it."""


@final
@dataclass(frozen=True)
class Peak:
    """The peak of a device.

    Args:
        speed: Multiply-adds a second.
        label: ``runtime:precision`` that reached it.
    """

    speed: Speed
    label: str


def peak_of(cells: Sequence[Cell]) -> Peak | Failure:
    """The fastest of the cells of :func:`efficient360.deployment.hardware_fit.products.gemm_network` whose answers are right."""
    speeds = [(cell.artefact.label, speed(gemm_macs(), cell.timing)) for cell in cells if cell.counts and cell.timing is not None]
    if speeds:
        label, best = max(speeds, key=lambda one: one[1].value)
        return Peak(best, label)
    told = next((cell.failure.message for cell in cells if cell.failure is not None), "")
    if told:
        return Failure(Status.FAILED, "no-peak", f"no runtime could time matrix products on this device: {told}", "see the other failures")
    wanted = ", ".join(catalogue.runtime(name).title for name in RUNTIMES)
    return Failure(Status.UNSUPPORTED, "no-peak", f"the peak is measured in one of {wanted}, and none is there", "pip install 'efficient360[onnxruntime]'")


def peak_runtimes() -> list[str]:
    """Those of :data:`RUNTIMES` that are installed."""
    there = catalogue.installed()
    return [name for name in RUNTIMES if name in there]
