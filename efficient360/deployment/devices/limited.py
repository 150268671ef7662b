"""The machine we are on, held to a profile: fewer cores, less memory, less CPU time. It stands in for a smaller machine and says so."""

import dataclasses
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.cgroups import ControlGroup, Limits, group
from efficient360.deployment.devices.device import Device, DeviceDescription, DeviceReading, Job, OnProgress, Schedule
from efficient360.deployment.devices.interleaving import interleaved, operators
from efficient360.deployment.devices.local import LocalWorkspace, facts, local_workspace
from efficient360.deployment.devices.profile import NEWER, LimitProfile, check_fits, label, parse, size
from efficient360.deployment.devices.worker import WorkerFailed, WorkerProcess, Workspace
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.kit.machine import describe
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.errors import DeviceError

SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
CAPS = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
"""What holds a runtime to AVX2: variables of oneDNN (torch, and OpenVINO's own copy), of torch's kernels, of MKL (torch)."""
CAPPED = ("torch", "openvino")
"""Runtimes that obey. The others choose their kernels with no such variable, or chose them when they compiled."""


@final
@dataclass(frozen=True)
class LimitedWorkspace(Workspace):
    """A temporary folder of this machine whose workers are each held to a profile.

    Args:
        local: The folder.
        profile: The limits.
        groups: Closes the control groups of the workers.
    """

    local: LocalWorkspace
    profile: LimitProfile
    groups: ExitStack

    @property
    def cores(self) -> int:
        return self.local.cores

    def put(self, path: Path, name: str) -> None:
        self.local.put(path, name)

    def get(self, name: str, path: Path) -> None:
        self.local.get(name, path)

    def start(self) -> WorkerProcess:
        """A worker in a control group and on cores of its own."""
        own = self.groups.enter_context(group(Limits(self.profile.memory, self.profile.quota)))
        cpus = spread(sorted(os.sched_getaffinity(0)))[: self.cores]

        def prepare() -> None:
            own.enter()
            os.sched_setaffinity(0, cpus)

        def explain(code: int, doing: str, _words: str) -> WorkerFailed | None:
            return _out_of_memory(own, self.profile, doing) if code == -signal.SIGKILL else None

        return dataclasses.replace(self.local, prepare=prepare, explain=explain).start()


def _out_of_memory(group: ControlGroup, profile: LimitProfile, doing: str) -> WorkerFailed | None:
    if profile.memory is None or not group.kills():
        return None
    message = f"the worker was killed in {doing}: it needs more than the {size(profile.memory)} of the profile"
    return WorkerFailed("worker-killed", message, "take a smaller model or batch, or a profile with more memory")


def spread(cpus: Sequence[int]) -> list[int]:
    """CPUs in the order in which to take them: one thread of every core before any core's second."""

    def place_in_core(cpu: int) -> int:
        """0 for a core's first thread, 1 for its others; 0 where the system doesn't say."""
        try:
            text = Path(SIBLINGS.format(cpu)).read_text(encoding="ascii")
        except OSError:
            return 0
        siblings = [int(end) for part in text.strip().split(",") for end in part.split("-")]
        return 0 if cpu == min(siblings) else 1

    return sorted(cpus, key=place_in_core)


@final
@dataclass(frozen=True)
class Limited(Device):
    """The machine we are on, held to a profile.

    Args:
        text: The profile as typed.
        profile: The profile.
    """

    text: str
    profile: LimitProfile

    @property
    def name(self) -> str:
        return f"limited:{self.text}"

    def describe(self) -> DeviceDescription:
        """What the profile leaves of the machine, named as emulated."""
        here = describe()
        emulated = label(self.profile, here["cpu"], here["cores"], here["isa"])
        with self._place() as workspace:
            description = facts(self.name, workspace, emulated)
        capped = [name for name in description.isa if not name.startswith(NEWER)] if self.profile.isa else description.isa
        return dataclasses.replace(description, memory=self.profile.memory or description.memory, isa=capped)

    def measure(self, jobs: Sequence[Job], images: Path, schedule: Schedule, on_progress: OnProgress) -> Iterator[tuple[Job, DeviceReading | Failure]]:
        refused = {id(job): self._refusal(job.artefact) for job in jobs}
        with self._place() as workspace:
            readings = interleaved(workspace, [job for job in jobs if refused[id(job)] is None], images, schedule, on_progress)
            for job in jobs:
                yield (job, refusal) if (refusal := refused[id(job)]) is not None else next(readings)

    def operators(self, artefact: Artefact, images: Path, threads: int, timeout: float) -> Sequence[Mapping[str, Any]] | Failure:
        if (refusal := self._refusal(artefact)) is not None:
            return refusal
        with self._place() as workspace:
            return operators(workspace, artefact, images, threads, timeout)

    def _refusal(self, artefact: Artefact) -> Failure | None:
        """Why an artefact can't be held to the profile."""
        newer = any(name.startswith(NEWER) for name in describe()["isa"])
        if self.profile.isa is None or not newer or artefact.runtime in CAPPED:
            return None
        title = catalogue.runtime(artefact.runtime).title
        return Failure(Status.UNSUPPORTED, "no-instruction-cap", f"{title} can't be held to AVX2: it obeys no setting for it", "leave avx2 out of the profile")

    @contextmanager
    def _place(self) -> Iterator[LimitedWorkspace]:
        cores = self.profile.cores or len(os.sched_getaffinity(0))
        with local_workspace(cores, CAPS if self.profile.isa else {}, None) as local, ExitStack() as groups:
            yield LimitedWorkspace(local, self.profile, groups)


def limited(text: str) -> Limited:
    """The device of ``limited:TEXT``.

    Raises:
        SettingsError: The text is no profile, or one that is more than this machine.
        DeviceError: ``no-affinity``: not on Linux.
    """
    profile = parse(text)
    if not hasattr(os, "sched_setaffinity"):
        raise DeviceError("no-affinity", f"limited:{text} can't be had here: only Linux holds processes to cores and memory", "use local")
    here = describe()
    check_fits(profile, text, here["cores"], here["memory"], here["isa"])
    return Limited(text, profile)
