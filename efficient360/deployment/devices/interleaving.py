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
class _Session:
    """A job in hand: its worker, what it told when it was loaded, and its blocks so far."""

    job: Job
    worker: WorkerProcess
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


def interleaved(
    workspace: Workspace, jobs: Sequence[Job], images: Path, schedule: Schedule, on_progress: OnProgress
) -> Iterator[tuple[Job, DeviceReading | Failure]]:
    """Read jobs on an open place; the semantics of :meth:`efficient360.deployment.devices.device.Device.measure`."""
    total, done = len(jobs) * (schedule.blocks + 1), 0
    workspace.put(images, IMAGES)
    with ExitStack() as stack:
        started: list[_Session | Failure] = []
        for job in jobs:
            on_progress(done, total)
            started.append(_start(workspace, job, schedule, stack))
            done += 1
        running = [session for session in started if isinstance(session, _Session)]
        done = _rounds(running, schedule, on_progress, (done, total))
        for _ in range(schedule.repeats):
            for session in running:
                if session.failed is None and noisy(session.blocks, _threads(workspace, session.job)):
                    session.blocks, session.repeated = [], session.repeated + 1
            again = [session for session in running if not session.blocks and session.failed is None]
            _rounds(again, schedule, on_progress, (total, total))
        for session in running:
            session.worker.close()
        for session in running:
            _start_again(workspace, session, schedule)
        for job, outcome in zip(jobs, started, strict=True):
            yield job, outcome if isinstance(outcome, Failure) else _reading(outcome, _threads(workspace, job))


def _rounds(running: Sequence[_Session], schedule: Schedule, on_progress: OnProgress, steps: tuple[int, int]) -> int:
    done, total = steps
    for _ in range(schedule.blocks):
        for session in running:
            on_progress(done, total)
            done = min(done + 1, total)
            if session.failed is None and not _spent(session, schedule):
                _block(session, schedule)
    return done


def _spent(session: _Session, schedule: Schedule) -> bool:
    """Whether a slow artefact has used up its time."""
    return sum(block.seconds for block in session.blocks) >= schedule.most and sum(len(block.wall) for block in session.blocks) >= 3


def _block(session: _Session, schedule: Schedule) -> None:
    typical = float(np.median(session.blocks[-1].wall)) if session.blocks else float(session.loaded["first"])
    affordable = max(1, int(schedule.most / schedule.blocks / typical))
    runs = min(-(-schedule.runs // schedule.blocks), affordable)
    try:
        response = session.worker.ask("block", schedule.timeout, seconds=schedule.seconds / schedule.blocks, runs=runs)
    except WorkerFailed as error:
        session.failed = Failure.of(Status.FAILED, error)
        return
    session.blocks.append(TimingBlock(response["wall"], response["cpu"], response["seconds"], response["before"], response["after"]))
    session.memory = response["memory"]


def _start_again(workspace: Workspace, session: _Session, schedule: Schedule) -> None:
    """More cold starts, in fresh processes, while nothing else runs."""
    first = session.starts[0]
    if session.failed is not None or first.imports + first.load + first.first > SLOW_START:
        return
    for _ in range(schedule.starts - 1):
        try:
            with closing(workspace.start()) as worker:
                session.starts.append(_cold(load(workspace, worker, session.job.artefact, _threads(workspace, session.job), schedule.timeout)))
        except WorkerFailed as error:
            session.failed = Failure.of(Status.FAILED, error)
            return


def _cold(loaded: Mapping[str, Any]) -> ColdStart:
    return ColdStart(loaded["import"], loaded["load"], loaded["first"])


def _start(workspace: Workspace, job: Job, schedule: Schedule, stack: ExitStack) -> _Session | Failure:
    try:
        worker = stack.enter_context(closing(workspace.start()))
        loaded = load(workspace, worker, job.artefact, _threads(workspace, job), schedule.timeout)
        logits = probe_logits(workspace, worker, schedule.timeout)
        warm = worker.ask("warm", schedule.timeout, runs=schedule.warm_runs, seconds=schedule.warm_seconds)
        idle, facts = _idle(worker, schedule)
        return _Session(job, worker, loaded, warm["steady"], logits, idle, facts, starts=[_cold(loaded)])
    except WorkerFailed as error:
        return Failure.of(Status.FAILED, error)


def load(workspace: Workspace, worker: WorkerProcess, artefact: Artefact, threads: int, timeout: float) -> dict[str, Any]:
    """Have a worker load an artefact and answer once.

    Raises:
        WorkerFailed: It could not.
    """
    return worker.ask("load", timeout, **request(workspace, artefact, threads))


def request(workspace: Workspace, artefact: Artefact, threads: int) -> dict[str, Any]:
    """What a worker must know to open an artefact, which is brought to the place."""
    workspace.put(artefact.folder, artefact.digest)
    own = catalogue.runtime(artefact.runtime).session
    if own is not None:
        workspace.put(own, own.name)
    settings = {**artefact.converted.settings, "threads": threads}
    session = artefact.runtime if own is None else own.name
    return {"session": session, "folder": artefact.digest, "settings": settings, "images": IMAGES, "batch": artefact.batch}


def probe_logits(workspace: Workspace, worker: WorkerProcess, timeout: float) -> Any:
    """Logits float32 ``(n, K)`` of the probe images as the loaded artefact gives them."""
    name = f"logits-{worker.pid}.npy"
    worker.ask("answer", timeout, images=IMAGES, logits=name)
    with TemporaryDirectory() as folder:
        workspace.get(name, Path(folder) / name)
        return np.load(Path(folder) / name)


def _idle(worker: WorkerProcess, schedule: Schedule) -> tuple[float | None, Mapping[str, Any]]:
    """Watts at rest, where the device counts energy; and what counts it."""
    response = worker.ask("idle", schedule.timeout, seconds=0.0)
    if "energy" not in response["before"]:
        return None, {}
    response = worker.ask("idle", schedule.timeout, seconds=IDLE_SECONDS)
    joules = drawn(response["before"], response["after"])
    return None if joules is None else joules / float(response["seconds"]), {"energy_source": response["source"]}


def _threads(workspace: Workspace, job: Job) -> int:
    return job.threads or workspace.cores


def _reading(session: _Session, threads: int) -> DeviceReading | Failure:
    if session.failed is not None:
        return session.failed
    loaded = session.loaded
    return DeviceReading(
        tuple(session.blocks),
        tuple(session.starts),
        session.steady,
        threads,
        loaded["version"],
        session.memory,
        loaded["memory_imported"],
        session.logits,
        session.idle,
        session.repeated,
        session.facts,
    )


def operators(workspace: Workspace, artefact: Artefact, images: Path, threads: int, timeout: float) -> Sequence[Mapping[str, Any]] | Failure:
    """Seconds of each operator on an open place; the semantics of :meth:`efficient360.deployment.devices.device.Device.operators`."""
    workspace.put(images, IMAGES)
    try:
        with closing(workspace.start()) as worker:
            profile = worker.ask("operators", timeout, **request(workspace, artefact, threads or workspace.cores))["operators"]
    except WorkerFailed as error:
        return Failure.of(Status.FAILED, error)
    if profile is None:
        title = catalogue.runtime(artefact.runtime).title
        return Failure(Status.UNSUPPORTED, "no-profiler", f"{title} offers no operator times here", "take another runtime")
    rows: Sequence[Mapping[str, Any]] = profile
    return rows
