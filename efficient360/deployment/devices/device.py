"""The contract of a device: what it is, and the readings it takes of artefacts."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Failure
from efficient360.deployment.runtimes.runtime import Artefact


@final
@dataclass(frozen=True)
class DeviceDescription:
    """What a device is.

    Args:
        name: As the user typed it (``local``, ``limited:1core-2gb``, ``ssh://pi@host``).
        cpu: Model of the CPU.
        architecture: ``x86_64``, ``aarch64`` …
        os: Operating system.
        cores: CPU cores that a worker may use.
        memory: Bytes that a worker may use.
        isa: Instruction sets that matter here.
        runtimes: Versions of the runtimes found on it, by name.
        emulated: ``""`` for real hardware; else what stands in for what. An emulated device is never called a phone.
    """

    name: str
    cpu: str
    architecture: str
    os: str
    cores: int
    memory: int
    isa: Sequence[str]
    runtimes: Mapping[str, str]
    emulated: str = ""


@final
@dataclass(frozen=True)
class Schedule:
    """How often and how long to run. The timed work falls into blocks, spread over fresh processes; the blocks of the artefacts in hand take turns.

    Args:
        runs: Timed runs at least, over all blocks.
        seconds: Timed seconds at least, over all blocks.
        blocks: Number of blocks.
        warm_runs: Runs before the first timed one, at least.
        warm_seconds: Seconds before it, at least.
        most: Seconds of timed work after which a slow artefact gets no further runs; never fewer than three runs.
        repeats: How often a measurement that is too noisy is taken again.
        starts: Fresh processes among which the blocks are divided, each with a warm-up and a cold start; only one where a start takes longer than 20 seconds.
        timeout: Seconds a worker may stay without an answer.
    """

    runs: int = 60
    seconds: float = 2.0
    blocks: int = 6
    warm_runs: int = 3
    warm_seconds: float = 0.3
    most: float = 20.0
    repeats: int = 1
    starts: int = 3
    timeout: float = 300.0


@final
@dataclass(frozen=True)
class TimingBlock:
    """Runs in a row.

    Args:
        wall: Wall-clock seconds of each run.
        cpu: Process-CPU seconds of each run; empty where the device does not tell.
        seconds: Wall-clock seconds of the whole block.
        before: The machine's counters before it (``kit/counters.py``).
        after: And after it.
        process: Which process ran it, from 0; blocks of one process share what differs from one start to the next.
    """

    wall: Sequence[float]
    cpu: Sequence[float]
    seconds: float
    before: Mapping[str, float] = field(default_factory=dict)
    after: Mapping[str, float] = field(default_factory=dict)
    process: int = 0


@final
@dataclass(frozen=True)
class ColdStart:
    """The first answer of a fresh process, in seconds, each part apart.

    Args:
        imports: Importing the runtime.
        load: Loading the artefact.
        first: The first inference.
    """

    imports: float
    load: float
    first: float


@final
@dataclass(frozen=True)
class DeviceReading:
    """All that was read of one artefact on one device, raw.

    Args:
        blocks: The timed runs.
        cold: Cold starts, each of a fresh process; empty where the device does not tell.
        steady: Whether the warm-up ended in two windows that agree.
        threads: Threads the runtime was given.
        version: Of the runtime as found on the device.
        memory: Most resident bytes of the worker's process, the median where there were several.
        memory_before: Resident bytes before the artefact was loaded, runtime imported.
        logits: Answers to the probe images, float32 ``(n, K)``; ``None`` where the device can't hand them back.
        idle: Watts the machine draws by itself; ``None`` without an energy counter.
        repeated: How often it was taken again because it was noisy.
        facts: What else a reader should know (a benchmark binary's own words).
        memories: Most resident bytes of each process.
        answers: Answers of a program with a signature, calls along a first axis; ``None`` for an image classifier, or where the device hands none back.
    """

    blocks: Sequence[TimingBlock]
    cold: Sequence[ColdStart]
    steady: bool
    threads: int
    version: str
    memory: int | None
    memory_before: int | None
    logits: NDArray[np.float32] | None
    idle: float | None = None
    repeated: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    memories: Sequence[int] = ()
    answers: Mapping[str, NDArray[Any]] | None = None


@final
@dataclass(frozen=True)
class Job:
    """One artefact to be read.

    Args:
        artefact: What to run.
        threads: Threads for the runtime; 0 takes as many as the device has cores.
        images: Probes of its own, where it takes images of another size than the others; ``None`` takes the probes of all.
    """

    artefact: Artefact
    threads: int = 0
    images: Path | None = None


OnProgress = Callable[[int, int], None]


class Device(ABC):
    """Where artefacts run."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As the user typed it."""

    @abstractmethod
    def describe(self) -> DeviceDescription:
        """What it is, and the runtimes found on it.

        Raises:
            DeviceError: It can't be reached or used; the message says why and the hint what to do.
        """

    @abstractmethod
    def measure(self, jobs: Sequence[Job], images: Path, schedule: Schedule, on_progress: OnProgress) -> Iterator[tuple[Job, DeviceReading | Failure]]:
        """Read artefacts, their timed blocks taking turns, each in a process of its own; one that fails takes nothing with it.

        Args:
            jobs: What to read.
            images: ``.npy`` of probe images float32 ``(n, 3, H, W)`` in [0, 1], of the artefacts' size; or ``.npz`` of an array for each input of programs
                with a signature, calls along its first axis, of which the first is timed.
            schedule: How often and how long.
            on_progress: Called with ``(done, total)`` steps.

        Yields:
            Every job with its reading, or the reason there is none, in the order of ``jobs``.

        Raises:
            DeviceError: The device as a whole can't be reached or used.
        """

    @abstractmethod
    def operators(self, artefact: Artefact, images: Path, threads: int, timeout: float) -> Sequence[Mapping[str, Any]] | Failure:
        """Seconds of each operator in one call, as the runtime's own profiler tells.

        Returns:
            Rows ``{"name", "kind", "seconds", "place"}``, ``place`` being what ran it; or why there are none.
        """
