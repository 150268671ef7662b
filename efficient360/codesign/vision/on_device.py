"""Times on the device: one that is gone stops the search, one artefact that fails does not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import ONE, Better, Failure, Interval, Measurement, Metric
from efficient360.core.statistics import student
from efficient360.deployment.devices.device import Device, DeviceReading, Job, Schedule, TimingBlock
from efficient360.deployment.devices.timing import clean
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.errors import DeviceError

SHORT: Final = Schedule(runs=60, seconds=0.6, blocks=3, warm_seconds=0.2, most=6.0, repeats=1, starts=1)
"""How long a candidate is timed during a search."""
LONG: Final = Schedule(runs=200, seconds=4.0, blocks=10, most=30.0, repeats=1, starts=5)
"""How long what is handed over is timed, in turns with the baselines."""
SPEEDUP: Final = Metric("speedup", ONE, Better.HIGHER, "How many times as fast as a baseline, timed in turns with it.", low=0)
_LOST: Final = ("connection-lost", "worker-hung", "worker-crashed")


def measure(device: Device, jobs: Sequence[Job], images: Path, schedule: Schedule) -> list[tuple[Job, DeviceReading | Failure]]:
    """As :meth:`efficient360.deployment.devices.device.Device.measure`, taken once more where a connection dropped.

    Raises:
        DeviceError: The device can't be reached any more.
    """
    readings = _measured(device, jobs, images, schedule)
    lost = [outcome for _, outcome in readings if isinstance(outcome, Failure) and outcome.code in _LOST]
    if lost and device.name != "local":
        require_reachable(device)
        readings = _measured(device, jobs, images, schedule)
        if any(isinstance(outcome, Failure) and outcome.code == _LOST[0] for _, outcome in readings):
            raise DeviceError("connection-lost", f"{device.name} drops its connection again and again", "look after the connection; the same command goes on")
    return readings


def require_reachable(device: Device) -> None:
    """Ask a device what it is.

    Raises:
        DeviceError: It does not answer.
    """
    try:
        device.describe()
    except WorkerFailed as error:
        raise DeviceError(error.code, f"{device.name} is gone: {error.message}", error.hint) from error


def _measured(device: Device, jobs: Sequence[Job], images: Path, schedule: Schedule) -> list[tuple[Job, DeviceReading | Failure]]:
    try:
        return list(device.measure(jobs, images, schedule, lambda done, total: None))
    except WorkerFailed as error:
        raise DeviceError(error.code, f"{device.name} can't be used: {error.message}", error.hint) from error


def speedup(candidate: DeviceReading, baseline: DeviceReading, conditions: Mapping[str, str]) -> Measurement | None:
    """How many times as fast as a baseline a candidate is, both timed in turns.

    The ratio of the medians of each generation of processes, whose blocks took turns, so that drift meets both alike; their geometric mean, with Student's t
    over generations on the logarithm. ``None`` where there are fewer than two generations.
    """
    ours, theirs = _medians(candidate), _medians(baseline)
    generations = sorted(ours.keys() & theirs.keys())
    if len(generations) < 2:
        return None
    logs = np.log([theirs[g] / ours[g] for g in generations])
    ends = student(logs, f"student-t over {len(logs)} pairs of processes")
    mean = float(np.exp(logs.mean()))
    interval = Interval(float(np.exp(ends.low)), float(np.exp(ends.high)), ends.method)
    return Measurement(SPEEDUP, mean, len(logs), interval, dict(conditions), tuple(np.exp(logs).tolist()))


def _medians(reading: DeviceReading) -> dict[int, float]:
    """Median seconds of each process's undisturbed runs; of all its runs where none is undisturbed."""
    keep = np.split(clean(reading.blocks, reading.threads), np.cumsum([len(block.wall) for block in reading.blocks])[:-1])
    by_process: dict[int, list[tuple[TimingBlock, NDArray[np.bool_]]]] = {}
    for block, kept in zip(reading.blocks, keep, strict=True):
        by_process.setdefault(block.process, []).append((block, kept))
    medians = {}
    for process, blocks in by_process.items():
        used = np.concatenate([np.asarray(block.wall)[kept] for block, kept in blocks])
        medians[process] = float(np.median(used if len(used) else np.concatenate([np.asarray(block.wall) for block, _ in blocks])))
    return medians
