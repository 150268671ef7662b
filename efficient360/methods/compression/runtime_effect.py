"""What compressing weights changes in a runtime that computes with the decoded ones: time and energy of both networks, their blocks taking turns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core import canonical
from efficient360.core.measurement import Failure, Interval, Status
from efficient360.core.statistics import student
from efficient360.deployment.devices import latency_metrics
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.devices.device import DeviceReading, Job, OnProgress, Schedule
from efficient360.deployment.devices.timing import clean, energies, result_of
from efficient360.deployment.runtimes import calibration_images, catalogue
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.models.model import TorchModel

PREFERRED: Final = ("openvino", "litert", "onnxruntime")
"""Runtimes that are asked first where none is named: the fastest on most CPUs."""
SCHEDULE: Final = Schedule(runs=50, seconds=2.5, blocks=10, starts=5, repeats=0)
"""Five fresh processes of each network: the repeats behind the interval."""


@final
@dataclass(frozen=True)
class Ratio:
    """How many times the compressed network's amount goes into the original's: above 1 it is better.

    Args:
        value: Geometric mean over pairs of processes.
        interval: 95 %, Student's t over the logarithms.
    """

    value: float
    interval: Interval


@final
@dataclass(frozen=True)
class RuntimeEffect:
    """Time and energy in one runtime.

    Args:
        runtime: Its title.
        version: Of the runtime as found on the device.
        device: As the user typed it.
        threads: Threads it was given.
        original_seconds: Median time of one image through the original.
        compressed_seconds: Through the network decoded from the compressed file.
        speed: How many times as fast.
        energy: How many times less energy; or why it was not measured.
    """

    runtime: str
    version: str
    device: str
    threads: int
    original_seconds: float
    compressed_seconds: float
    speed: Ratio
    energy: Ratio | Failure


def default_runtime() -> str:
    """The first of :data:`PREFERRED` that is installed, else ``torch``."""
    installed = catalogue.installed()
    return next((name for name in PREFERRED if name in installed), "torch")


def measure_in_runtime(
    models: tuple[TorchModel, TorchModel], identities: tuple[str, str], probes: NDArray[np.float32], runtime: str, device: str, on_progress: OnProgress
) -> RuntimeEffect | Failure:
    """Convert both networks to float32 artefacts, check each against its own network, and time them in turns.

    Args:
        models: The original, and the one that was decoded from the compressed file.
        identities: Digest of all that makes each.
        probes: Images float32 ``(n, 3, H, W)`` in [0, 1].
        runtime: Its name.
        device: ``local``, ``limited:…``, ``ssh://…`` or ``adb://…``.
        on_progress: Called with ``(done, total)`` steps of the measurement.

    Returns:
        The ratios; or why there are none: a conversion that fails, answers that are not the network's.

    Raises:
        SettingsError: No such runtime or device.
        DeviceError: The device can't be reached or used.
    """
    place, title = device_from_address(device), catalogue.runtime(runtime).title
    with TemporaryDirectory(prefix="efficient360-") as folder:
        path = Path(folder) / "probes.npy"
        np.save(path, probes)
        artefacts = []
        for model, identity in zip(models, identities, strict=True):
            source = ModelSource(canonical.digest([identity], "a network"), model.module, model.input_size, None, Path(folder))
            artefact = build(source, runtime, Precision.FP32)
            if isinstance(artefact, Failure):
                return artefact
            artefacts.append(artefact)
        outcomes = [outcome for _, outcome in place.measure([Job(artefact) for artefact in artefacts], path, SCHEDULE, on_progress)]
    readings = []
    for artefact, outcome, model in zip(artefacts, outcomes, models, strict=True):
        if isinstance(outcome, Failure):
            return outcome
        checked = result_of(artefact, outcome, calibration_images.logits_of(model, probes))
        if not checked.rankable:
            message = f"the artefact in {title} does not answer as the network does: {checked.exclusion_reason}"
            return Failure(Status.FAILED, "parity", message, "name another runtime with --runtime")
        readings.append(outcome)
    return compare_readings((readings[0], readings[1]), title, device)


def compare_readings(readings: tuple[DeviceReading, DeviceReading], title: str, device: str) -> RuntimeEffect | Failure:
    """Ratios of two readings that were taken in turns.

    Args:
        readings: Of the original, and of the compressed network.
        title: The runtime's.
        device: As the user typed it.
    """
    medians = [_medians(reading) for reading in readings]
    speed = paired_ratio(medians[0], medians[1])
    if speed is None:
        message = "one process only was started, and its repeats say nothing of what a rerun would show"
        return Failure(Status.FAILED, "one-process", message, "measure on a device where the network starts faster")
    seconds = [float(np.median(values)) for values in medians]
    joules = [_joules(reading) for reading in readings]
    energy = paired_ratio(joules[0], joules[1]) or latency_metrics.no_energy(device)
    return RuntimeEffect(title, readings[0].version, device, readings[0].threads, seconds[0], seconds[1], speed, energy)


def paired_ratio(original: Sequence[float], compressed: Sequence[float]) -> Ratio | None:
    """Geometric mean of original over compressed, with Student's t interval over the pairs; ``None`` with fewer than two pairs of positive numbers."""
    pairs = [(a, b) for a, b in zip(original, compressed, strict=False) if a > 0 and b > 0]
    if len(pairs) < 2:
        return None
    logs = np.log([a / b for a, b in pairs])
    spread = student(logs, f"student-t over {len(pairs)} pairs of processes that took turns")
    return Ratio(math.exp(float(logs.mean())), Interval(math.exp(spread.low), math.exp(spread.high), spread.method))


def _medians(reading: DeviceReading) -> list[float]:
    """Median seconds of each process, of clean runs where there are some."""
    keep = np.split(clean(reading.blocks, reading.threads), np.cumsum([len(block.wall) for block in reading.blocks])[:-1])
    medians = []
    for process in sorted({block.process for block in reading.blocks}):
        mine = [(np.asarray(block.wall), kept) for block, kept in zip(reading.blocks, keep, strict=True) if block.process == process]
        wall, kept = np.concatenate([wall for wall, _ in mine]), np.concatenate([kept for _, kept in mine])
        medians.append(float(np.median(wall[kept] if kept.any() else wall)))
    return medians


def _joules(reading: DeviceReading) -> list[float]:
    """Mean joules of one run, of each process."""
    by_process: dict[int, list[float]] = {}
    for process, joules in energies(reading):
        by_process.setdefault(process, []).append(joules)
    return [float(np.mean(values)) for _, values in sorted(by_process.items())]
