from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from efficient360.codesign.vision.on_device import SHORT, measure
from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.device import Device, DeviceDescription, DeviceReading, Job, OnProgress, Schedule
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Precision
from efficient360.errors import DeviceError

ARTEFACT = Artefact("litert", Precision.FP32, 1, (3, 8, 8), Path(), "", 0, {}, 0.0, Converted({}))
READING = DeviceReading((), (), True, 1, "1", None, None, None)
LOST = Failure(Status.FAILED, "connection-lost", "the connection was lost")
BROKEN = Failure(Status.FAILED, "runtime-error", "the runtime failed")


@dataclass
class Wire(Device):
    """A device whose connection drops."""

    readings: list[DeviceReading | Failure]
    reachable: bool = True
    asked: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "ssh://pi"

    def describe(self) -> DeviceDescription:
        self.asked.append("describe")
        if not self.reachable:
            raise WorkerFailed("connection-lost", "no route", "look after it")
        return DeviceDescription("ssh://pi", "", "", "", 1, 0, (), {})

    def measure(self, jobs: Sequence[Job], images: Path, schedule: Schedule, on_progress: OnProgress) -> Iterator[tuple[Job, DeviceReading | Failure]]:
        self.asked.append("measure")
        yield jobs[0], self.readings.pop(0)

    def operators(self, artefact: Artefact, images: Path, threads: int, timeout: float) -> Sequence[Mapping[str, Any]] | Failure:
        raise NotImplementedError


def taken(device: Wire) -> DeviceReading | Failure:
    ((_, outcome),) = measure(device, [Job(ARTEFACT)], Path(), SHORT)
    return outcome


def test_a_dropped_connection_is_taken_up_once() -> None:
    device = Wire([LOST, READING])
    assert taken(device) is READING
    assert device.asked == ["measure", "describe", "measure"]


def test_a_device_that_is_gone_stops_the_search() -> None:
    with pytest.raises(DeviceError) as error:
        taken(Wire([LOST], reachable=False))
    assert error.value.code == "connection-lost"


def test_a_connection_that_drops_again_stops_the_search() -> None:
    with pytest.raises(DeviceError) as error:
        taken(Wire([LOST, LOST]))
    assert error.value.code == "connection-lost"


def test_an_artefact_that_fails_is_no_lost_device() -> None:
    device = Wire([BROKEN])
    assert taken(device) is BROKEN
    assert device.asked == ["measure"]
