"""Blocks that take turns: every artefact in a process of its own, one of them running at a time, so that drift meets all alike."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

import numpy as np

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.device import ColdStart, DeviceReading, Job, OnProgress, Schedule, TimingBlock
from efficient360.deployment.devices.timing import drawn, noisy
from efficient360.deployment.devices.worker import WorkerFailed, WorkerProcess, Workspace
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Artefact

IMAGES = "images.npy"
IDLE_SECONDS = 1.0
SLOW_START = 5.0


@final
@dataclass
class _Running:
    """A job in hand: its worker, what it told when it was loaded, and its blocks so far."""

    job: Job
    link: WorkerProcess
    loaded: Mapping[str, Any]
    steady: bool
    logits: Any
    idle: float | None
    facts: Mapping[str, Any]
    blocks: list[TimingBlock] = field(default_factory=list)
    memory: int = 0
    repeated: int = 0
    starts: list[ColdStart] = field(default_factory=list)
    failed: Failure | None = None


def interleaved(place: Workspace, jobs: Sequence[Job], images: Path, schedule: Schedule, told: OnProgress) -> Iterator[tuple[Job, DeviceReading | Failure]]:
    """Read jobs on an open place; the semantics of :meth:`efficient360.deployment.devices.device.Device.measure`."""
    total, done = len(jobs) * (schedule.blocks + 1), 0
    place.put(images, IMAGES)
    with ExitStack() as stack:
        started: list[_Running | Failure] = []
        for job in jobs:
            told(done, total)
            started.append(_start(place, job, schedule, stack))
            done += 1
        running = [one for one in started if isinstance(one, _Running)]
        done = _rounds(running, schedule, told, (done, total))
        for _ in range(schedule.repeats):
            for one in running:
                if one.failed is None and noisy(one.blocks, _threads(place, one.job)):
                    one.blocks, one.repeated = [], one.repeated + 1
            again = [one for one in running if not one.blocks and one.failed is None]
            _rounds(again, schedule, told, (total, total))
        for one in running:
            one.link.close()
        for one in running:
            _start_again(place, one, schedule)
        for job, outcome in zip(jobs, started, strict=True):
            yield job, outcome if isinstance(outcome, Failure) else _reading(outcome, _threads(place, job))


def _rounds(running: Sequence[_Running], schedule: Schedule, told: OnProgress, steps: tuple[int, int]) -> int:
    done, total = steps
    for _ in range(schedule.blocks):
        for one in running:
            told(done, total)
            done = min(done + 1, total)
            if one.failed is None and not _spent(one, schedule):
                _block(one, schedule)
    return done


def _spent(one: _Running, schedule: Schedule) -> bool:
    """Whether a slow artefact has used up its time."""
    return sum(block.seconds for block in one.blocks) >= schedule.most and sum(len(block.wall) for block in one.blocks) >= 3


def _block(one: _Running, schedule: Schedule) -> None:
    typical = float(np.median(one.blocks[-1].wall)) if one.blocks else float(one.loaded["first"])
    affordable = max(1, int(schedule.most / schedule.blocks / typical))
    runs = min(-(-schedule.runs // schedule.blocks), affordable)
    try:
        told = one.link.ask("block", schedule.timeout, seconds=schedule.seconds / schedule.blocks, runs=runs)
    except WorkerFailed as error:
        one.failed = Failure.of(Status.FAILED, error)
        return
    one.blocks.append(TimingBlock(told["wall"], told["cpu"], told["seconds"], told["before"], told["after"]))
    one.memory = told["memory"]


def _start_again(place: Workspace, one: _Running, schedule: Schedule) -> None:
    """More cold starts, in fresh processes, while nothing else runs."""
    first = one.starts[0]
    if one.failed is not None or first.imports + first.load + first.first > SLOW_START:
        return
    for _ in range(schedule.starts - 1):
        try:
            with closing(place.start()) as link:
                one.starts.append(_cold(load(place, link, one.job.artefact, _threads(place, one.job), schedule.timeout)))
        except WorkerFailed as error:
            one.failed = Failure.of(Status.FAILED, error)
            return


def _cold(loaded: Mapping[str, Any]) -> ColdStart:
    return ColdStart(loaded["import"], loaded["load"], loaded["first"])


def _start(place: Workspace, job: Job, schedule: Schedule, stack: ExitStack) -> _Running | Failure:
    try:
        link = stack.enter_context(closing(place.start()))
        loaded = load(place, link, job.artefact, _threads(place, job), schedule.timeout)
        logits = probe_logits(place, link, schedule.timeout)
        warm = link.ask("warm", schedule.timeout, runs=schedule.warm_runs, seconds=schedule.warm_seconds)
        idle, facts = _idle(link, schedule)
        return _Running(job, link, loaded, warm["steady"], logits, idle, facts, starts=[_cold(loaded)])
    except WorkerFailed as error:
        return Failure.of(Status.FAILED, error)


def load(place: Workspace, link: WorkerProcess, artefact: Artefact, threads: int, timeout: float) -> dict[str, Any]:
    """Have a worker load an artefact and answer once.

    Raises:
        WorkerFailed: It could not.
    """
    return link.ask("load", timeout, **request(place, artefact, threads))


def request(place: Workspace, artefact: Artefact, threads: int) -> dict[str, Any]:
    """What a worker must know to open an artefact, which is brought to the place."""
    place.put(artefact.folder, artefact.digest)
    own = catalogue.runtime(artefact.runtime).session
    if own is not None:
        place.put(own, own.name)
    settings = {**artefact.converted.settings, "threads": threads}
    session = artefact.runtime if own is None else own.name
    return {"session": session, "folder": artefact.digest, "settings": settings, "images": IMAGES, "batch": artefact.batch}


def probe_logits(place: Workspace, link: WorkerProcess, timeout: float) -> Any:
    """Logits float32 ``(n, K)`` of the probe images as the loaded artefact gives them."""
    name = f"logits-{link.pid}.npy"
    link.ask("answer", timeout, images=IMAGES, logits=name)
    with TemporaryDirectory() as folder:
        place.get(name, Path(folder) / name)
        return np.load(Path(folder) / name)


def _idle(link: WorkerProcess, schedule: Schedule) -> tuple[float | None, Mapping[str, Any]]:
    """Watts at rest, where the device counts energy; and what counts it."""
    told = link.ask("idle", schedule.timeout, seconds=0.0)
    if "energy" not in told["before"]:
        return None, {}
    told = link.ask("idle", schedule.timeout, seconds=IDLE_SECONDS)
    joules = drawn(told["before"], told["after"])
    return None if joules is None else joules / float(told["seconds"]), {"energy_source": told["source"]}


def _threads(place: Workspace, job: Job) -> int:
    return job.threads or place.cores


def _reading(one: _Running, threads: int) -> DeviceReading | Failure:
    if one.failed is not None:
        return one.failed
    told = one.loaded
    return DeviceReading(
        tuple(one.blocks),
        tuple(one.starts),
        one.steady,
        threads,
        told["version"],
        one.memory,
        told["memory_imported"],
        one.logits,
        one.idle,
        one.repeated,
        one.facts,
    )


def operators(place: Workspace, artefact: Artefact, images: Path, threads: int, timeout: float) -> Sequence[Mapping[str, Any]] | Failure:
    """Seconds of each operator on an open place; the semantics of :meth:`efficient360.deployment.devices.device.Device.operators`."""
    place.put(images, IMAGES)
    try:
        with closing(place.start()) as link:
            found = link.ask("operators", timeout, **request(place, artefact, threads or place.cores))["operators"]
    except WorkerFailed as error:
        return Failure.of(Status.FAILED, error)
    if found is None:
        title = catalogue.runtime(artefact.runtime).title
        return Failure(Status.UNSUPPORTED, "no-profiler", f"{title} offers no operator times here", "take another runtime")
    rows: Sequence[Mapping[str, Any]] = found
    return rows
