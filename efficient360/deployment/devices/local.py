"""The machine we are on, as it is."""

import dataclasses
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, final

from efficient360.core import processes
from efficient360.core.measurement import Failure
from efficient360.deployment.devices.device import Device, DeviceDescription, DeviceReading, Job, OnProgress, Schedule
from efficient360.deployment.devices.interleaving import interleaved, operators
from efficient360.deployment.devices.worker import KIT, Explain, WorkerProcess, Workspace
from efficient360.deployment.runtimes.runtime import Artefact

COMMAND = (sys.executable, "-P", "-m", "kit.worker")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@final
@dataclass(frozen=True)
class LocalWorkspace(Workspace):
    """A temporary folder of this machine.

    Args:
        folder: The folder, with the kit in it.
        open_cores: Cores a worker may use.
        variables: Environment variables of workers beside ours.
        prepare: Called in a worker's process before it becomes the worker.
        explain: Asked why a worker ended, as :class:`~efficient360.deployment.devices.worker.WorkerProcess` does.
    """

    folder: Path
    open_cores: int
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prepare: Callable[[], None] | None = None
    explain: Explain | None = None

    @property
    def cores(self) -> int:
        return self.open_cores

    def put(self, path: Path, name: str) -> None:
        target = self.folder / name
        if not target.exists():
            target.symlink_to(path.resolve())

    def get(self, name: str, path: Path) -> None:
        shutil.copyfile(self.folder / name, path)

    def start(self) -> WorkerProcess:
        ours = {key: value for key, value in processes.environment().items() if key not in THREAD_VARIABLES}
        environment = ours | {"PYTHONPATH": str(self.folder)} | dict(self.variables)
        return WorkerProcess(COMMAND, environment, self.prepare, self.folder, self.explain)


@contextmanager
def local_workspace(cores: int, variables: Mapping[str, str], prepare: Callable[[], None] | None) -> Iterator[LocalWorkspace]:
    """A temporary folder with the kit, gone afterwards."""
    with TemporaryDirectory(prefix="efficient360-") as folder:
        shutil.copytree(KIT, Path(folder) / "kit", ignore=shutil.ignore_patterns("__pycache__"))
        yield LocalWorkspace(Path(folder), cores, variables, prepare)


def open_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@final
@dataclass(frozen=True)
class Local(Device):
    """The machine we are on, as it is."""

    @property
    def name(self) -> str:
        return "local"

    def describe(self) -> DeviceDescription:
        with local_workspace(open_cores(), {}, None) as workspace:
            return facts(self.name, workspace)

    def measure(self, jobs: Sequence[Job], images: Path, schedule: Schedule, on_progress: OnProgress) -> Iterator[tuple[Job, DeviceReading | Failure]]:
        with local_workspace(open_cores(), {}, None) as workspace:
            yield from interleaved(workspace, jobs, images, schedule, on_progress)

    def operators(self, artefact: Artefact, images: Path, threads: int, timeout: float) -> Sequence[Mapping[str, Any]] | Failure:
        with local_workspace(open_cores(), {}, None) as workspace:
            return operators(workspace, artefact, images, threads, timeout)


def facts(name: str, workspace: Workspace, emulated: str = "") -> DeviceDescription:
    """What a worker tells of the machine it runs on.

    Raises:
        WorkerFailed: No worker could be started there.
    """
    with closing(workspace.start()) as worker:
        described = worker.ask("describe", 60.0)
    del described["python"]
    return DeviceDescription(name=name, emulated=emulated, **described)
