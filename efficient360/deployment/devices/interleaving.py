"""Blocks that take turns: every artefact in processes of its own, one of them running at a time, so that drift meets all alike."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
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
"""Name of the probe file on the device, whatever it holds: NumPy tells an array from an archive of named ones by its first bytes."""
IDLE_SECONDS = 1.0
SLOW_START = 20.0
"""An artefact whose process takes longer to start is started once only."""


@final
@dataclass
class _Session:
    """A job in hand: the worker that runs it now, what the first one told, and its blocks so far."""

    job: Job
    worker: WorkerProcess | None = None
    processes: int = 0
    loaded: Mapping[str, Any] = field(default_factory=dict)
    steady: bool = True
    answers: Any = None
    idle: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    blocks: list[TimingBlock] = field(default_factory=list)
    memories: dict[int, int] = field(default_factory=dict)
    repeated: int = 0
    starts: list[ColdStart] = field(default_factory=list)
    failed: Failure | None = None

    @property
    def slow_start(self) -> bool:
        """Whether starting it again would take too long."""
        first = self.starts[0] if self.starts else None
        return first is not None and first.imports + first.load + first.first > SLOW_START

    def close(self) -> None:
        """End its worker."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def start_over(self) -> None:
        """Forget its blocks, which were too noisy."""
        self.blocks, self.memories, self.repeated = [], {}, self.repeated + 1


def interleaved(
    workspace: Workspace, jobs: Sequence[Job], images: Path, schedule: Schedule, on_progress: OnProgress
) -> Iterator[tuple[Job, DeviceReading | Failure]]:
    """Read jobs on an open place; the semantics of :meth:`efficient360.deployment.devices.device.Device.measure`."""
    workspace.put(images, IMAGES)
    sessions, steps = [_Session(job) for job in jobs], _Steps(len(jobs) * (schedule.blocks + schedule.starts), on_progress)
    try:
        _measure(workspace, sessions, schedule, steps)
        for _ in range(schedule.repeats):
            again = [session for session in sessions if session.failed is None and noisy(session.blocks, _threads(workspace, session.job))]
            for session in again:
                session.start_over()
            _measure(workspace, again, schedule, steps)
    finally:
        for session in sessions:
            session.close()
    for session in sessions:
        yield session.job, _reading(session, _threads(workspace, session.job))


@final
@dataclass
class _Steps:
    total: int
    on_progress: OnProgress
    done: int = 0

    def next(self) -> None:
        """Tell that a step begins."""
        self.on_progress(self.done, self.total)
        self.done = min(self.done + 1, self.total)


def _measure(workspace: Workspace, sessions: Sequence[_Session], schedule: Schedule, steps: _Steps) -> None:
    """All blocks, in as many generations of fresh processes as the schedule wants starts: what differs from one process to the next is seen too."""
    for generation in range(schedule.starts):
        for session in sessions:
            steps.next()
            if session.failed is None and not (generation and _spent(session, schedule)):
                _renew(workspace, session, schedule)
        for _ in range(len(range(generation, schedule.blocks, schedule.starts))):
            for session in sessions:
                steps.next()
                if session.failed is None and not _spent(session, schedule):
                    _block(session, schedule)


def _renew(workspace: Workspace, session: _Session, schedule: Schedule) -> None:
    """Start a fresh process for a job, load, warm up; one that starts slowly stays."""
    if session.worker is not None and session.slow_start:
        return
    session.close()
    try:
        session.worker = worker = workspace.start()
        probes = _probes(workspace, session.job)
        loaded = load(workspace, worker, session.job.artefact, _threads(workspace, session.job), schedule.timeout, probes)
        session.starts.append(_cold(loaded))
        session.memories[session.processes] = loaded["memory"]
        if not session.processes:
            session.loaded, session.answers = loaded, probe_logits(workspace, worker, schedule.timeout, probes)
        warm = worker.ask("warm", schedule.timeout, runs=schedule.warm_runs, seconds=schedule.warm_seconds)
        session.steady = session.steady and warm["steady"]
        if not session.processes:
            session.idle, session.facts = _idle(worker, schedule)
        session.processes += 1
    except WorkerFailed as error:
        session.failed = Failure.of(Status.FAILED, error)
        session.close()


def _spent(session: _Session, schedule: Schedule) -> bool:
    """Whether a slow artefact has used up its time."""
    return sum(block.seconds for block in session.blocks) >= schedule.most and sum(len(block.wall) for block in session.blocks) >= 3


def _block(session: _Session, schedule: Schedule) -> None:
    assert session.worker is not None
    process = session.processes - 1
    typical = float(np.median(session.blocks[-1].wall)) if session.blocks else float(session.loaded["first"])
    affordable = max(1, int(schedule.most / schedule.blocks / typical))
    runs = min(-(-schedule.runs // schedule.blocks), affordable)
    try:
        response = session.worker.ask("block", schedule.timeout, seconds=schedule.seconds / schedule.blocks, runs=runs)
    except WorkerFailed as error:
        session.failed = Failure.of(Status.FAILED, error)
        return
    session.blocks.append(TimingBlock(response["wall"], response["cpu"], response["seconds"], response["before"], response["after"], process))
    session.memories[process] = response["memory"]


def _cold(loaded: Mapping[str, Any]) -> ColdStart:
    return ColdStart(loaded["import"], loaded["load"], loaded["first"])


def load(workspace: Workspace, worker: WorkerProcess, artefact: Artefact, threads: int, timeout: float, images: str = IMAGES) -> dict[str, Any]:
    """Have a worker load an artefact and answer once.

    Raises:
        WorkerFailed: It could not.
    """
    return worker.ask("load", timeout, **request(workspace, artefact, threads, images))


def _probes(workspace: Workspace, job: Job) -> str:
    """Name of a job's probes on the device, where they are brought if they are its own."""
    if job.images is None:
        return IMAGES
    name = f"images-{'x'.join(map(str, job.artefact.size))}.npy"
    workspace.put(job.images, name)
    return name


def request(workspace: Workspace, artefact: Artefact, threads: int, images: str = IMAGES) -> dict[str, Any]:
    """What a worker must know to open an artefact, which is brought to the place."""
    workspace.put(artefact.folder, artefact.digest)
    own = catalogue.runtime(artefact.runtime).session
    if own is not None:
        workspace.put(own, own.name)
    settings = {**artefact.converted.settings, "threads": threads}
    session = artefact.runtime if own is None else own.name
    return {"session": session, "folder": artefact.digest, "settings": settings, "images": images, "batch": artefact.batch}


def probe_logits(workspace: Workspace, worker: WorkerProcess, timeout: float, images: str = IMAGES) -> Any:
    """What the loaded artefact answers to the probes: logits float32 ``(n, K)``, or the named arrays of a program with a signature."""
    name = f"logits-{worker.pid}.npy"
    worker.ask("answer", timeout, images=images, logits=name)
    with TemporaryDirectory() as folder:
        workspace.get(name, Path(folder) / name)
        answers = np.load(Path(folder) / name)
        return answers if isinstance(answers, np.ndarray) else {name: answers[name] for name in answers.files}


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
    loaded, memories = session.loaded, tuple(session.memories.values())
    return DeviceReading(
        tuple(session.blocks),
        tuple(session.starts),
        session.steady,
        threads,
        loaded["version"],
        statistics.median_low(memories),
        loaded["memory_imported"],
        session.answers if isinstance(session.answers, np.ndarray) else None,
        session.idle,
        session.repeated,
        session.facts,
        memories,
        None if isinstance(session.answers, np.ndarray) else session.answers,
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
