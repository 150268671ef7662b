"""Blocks in turns over fresh processes, on workers that only write down what they were asked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from efficient360.core.measurement import Failure
from efficient360.deployment.devices.device import DeviceReading, Job, Schedule
from efficient360.deployment.devices.interleaving import interleaved
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Precision

SCHEDULE = Schedule(runs=6, seconds=0.0, blocks=6, warm_runs=1, warm_seconds=0.0, starts=3, repeats=0)


@dataclass
class Scripted:
    """A worker; ``place.fails`` says in which process which request raises."""

    place: "Place"
    pid: int
    open: bool = True
    loaded: str = ""

    def ask(self, do: str, timeout: float, **request: Any) -> dict[str, Any]:
        assert self.open
        self.loaded = request.get("folder", self.loaded)
        self.place.asked.append((self.pid, self.loaded, do))
        if self.place.fails.get(self.pid) == do:
            raise WorkerFailed("worker-crashed", f"it crashed in {do}", "")
        if do == "load":
            times = {"import": 0.0, "load": self.place.start_seconds, "first": 0.01}
            return {**times, "version": "1.0", "memory_before": 1, "memory_imported": 2, "memory": 3}
        wait = self.place.waits.get(self.pid, 0.0)
        block: dict[str, Any] = {"wall": [0.01], "cpu": [0.01 * (1 - wait)], "seconds": 0.01, "before": {}, "after": {}, "memory": 100 + self.pid}
        answers: dict[str, dict[str, Any]] = {"warm": {"steady": True}, "idle": {"before": {}, "after": {}}, "block": block}
        return answers.get(do, {})

    def close(self) -> None:
        self.open = False


@dataclass
class Place:
    cores: int = 1
    start_seconds: float = 0.1
    fails: dict[int, str] = field(default_factory=dict)
    waits: dict[int, float] = field(default_factory=dict)
    asked: list[tuple[int, str, str]] = field(default_factory=list)
    workers: list[Scripted] = field(default_factory=list)

    def put(self, path: Path, name: str) -> None:
        pass

    def get(self, name: str, path: Path) -> None:
        np.save(path, np.zeros((1, 2), np.float32))

    def start(self) -> Scripted:
        self.workers.append(Scripted(self, len(self.workers)))
        return self.workers[-1]


def job(name: str) -> Job:
    return Job(Artefact("onnxruntime", Precision.FP32, 1, (3, 4, 4), Path("nowhere"), name, 1, {}, 0.0, Converted({}, {})))


def taken(place: Place, *names: str, schedule: Schedule = SCHEDULE) -> list[DeviceReading | Failure]:
    steps: list[tuple[int, int]] = []
    readings = [reading for _, reading in interleaved(place, [job(name) for name in names], Path("x"), schedule, lambda *step: steps.append(step))]  # type: ignore[arg-type]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert all(done <= total for done, total in steps)
    assert not any(worker.open for worker in place.workers)
    return readings


def one(place: Place, schedule: Schedule = SCHEDULE) -> DeviceReading:
    (reading,) = taken(place, "a", schedule=schedule)
    assert isinstance(reading, DeviceReading)
    return reading


def test_the_blocks_are_spread_over_fresh_processes_and_take_turns() -> None:
    place = Place()
    for reading in taken(place, "a", "b"):
        assert isinstance(reading, DeviceReading)
        assert [block.process for block in reading.blocks] == [0, 0, 1, 1, 2, 2]
        assert len(reading.cold) == len(reading.memories) == 3
        assert reading.memory == sorted(reading.memories)[1]
    assert [(pid, name) for pid, name, do in place.asked if do == "block"] == [(p + i, "ab"[i]) for p in (0, 2, 4) for _ in range(2) for i in range(2)]
    assert [pid for pid, _, do in place.asked if do == "answer"] == [0, 1]


@pytest.mark.parametrize(("blocks", "processes"), [(1, [0]), (2, [0, 1]), (5, [0, 0, 1, 1, 2]), (7, [0, 0, 0, 1, 1, 2, 2])])
def test_any_number_of_blocks(blocks: int, processes: list[int]) -> None:
    reading = one(Place(), Schedule(runs=6, seconds=0.0, blocks=blocks, repeats=0))
    assert [block.process for block in reading.blocks] == processes
    assert len(reading.cold) == 3


def test_what_starts_slowly_is_started_once() -> None:
    reading = one(Place(start_seconds=30.0))
    assert {block.process for block in reading.blocks} == {0}
    assert (len(reading.blocks), len(reading.cold)) == (6, 1)


def test_a_later_process_that_fails_is_a_failure_and_the_other_goes_on() -> None:
    first, second = taken(Place(fails={2: "load"}), "a", "b")
    assert isinstance(first, Failure)
    assert first.code == "worker-crashed"
    assert isinstance(second, DeviceReading)
    assert len(second.blocks) == 6


def test_what_was_too_noisy_is_taken_again_in_fresh_processes() -> None:
    place = Place(waits={0: 0.5, 1: 0.5, 2: 0.5})
    reading = one(place, Schedule(runs=6, seconds=0.0, repeats=1))
    assert reading.repeated == 1
    assert [block.process for block in reading.blocks] == [3, 3, 4, 4, 5, 5]
    assert len(reading.memories) == 3


def test_a_slow_model_stops_when_its_time_is_spent() -> None:
    reading = one(Place(), Schedule(runs=6, seconds=0.0, most=0.015, repeats=0))
    assert len(reading.blocks) == 3
