"""A host over SSH: the kit, artefacts and images are copied into a temporary folder there, and the runtimes found there run them."""

import contextlib
import dataclasses
import io
import json
import shlex
import signal
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.device import Device, DeviceDescription, DeviceReading, Job, OnProgress, Schedule
from efficient360.deployment.devices.interleaving import interleaved, operators
from efficient360.deployment.devices.local import facts
from efficient360.deployment.devices.ssh_client import CONNECTION_FAILED, SshAddress, SshClient, connected, english, read
from efficient360.deployment.devices.worker import KIT, WorkerFailed, WorkerProcess, Workspace
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.kit.machine import PACKAGES
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.errors import DeviceError

OPEN = """
import importlib.util, json, os, sys, tempfile
parent = sys.argv[1] or None
if parent and not os.path.isdir(parent):
    print(json.dumps({"no_folder": parent}))
elif sys.version_info < (3, 9) or not importlib.util.find_spec("numpy"):
    print(json.dumps({"python": list(sys.version_info[:3]), "numpy": bool(importlib.util.find_spec("numpy"))}))
else:
    print(json.dumps({"folder": tempfile.mkdtemp(prefix="efficient360-", dir=parent)}))
"""
UNPACK = "import sys, tarfile; tarfile.open(fileobj=sys.stdin.buffer, mode='r|').extractall(sys.argv[1])"
REMOVE = "import shutil, sys; shutil.rmtree(sys.argv[1])"
NOT_FOUND = 127


@final
@dataclass(frozen=True)
class SshWorkspace(Workspace):
    """A temporary folder of a host.

    Args:
        client: The connection.
        folder: The folder there.
        open_cores: Cores a worker may use there.
        brought: Names of what is there already.
    """

    client: SshClient
    folder: str
    open_cores: int = 1
    brought: set[str] = field(default_factory=set)

    @property
    def cores(self) -> int:
        return self.open_cores

    def put(self, path: Path, name: str) -> None:
        """Copy a file or folder once; a second time nothing is sent."""
        if name in self.brought:
            return
        done = self.client.run(python(self.client.address, UNPACK, self.folder), packed(path, name))
        if done.returncode:
            raise DeviceError("copy-failed", f"{name} could not be copied to {self._host}: {last_line(done.stderr)}", "check the room left on its disk")
        self.brought.add(name)

    def get(self, name: str, path: Path) -> None:
        done = self.client.run(f"cat {shlex.quote(f'{self.folder}/{name}')}")
        if done.returncode:
            raise DeviceError("copy-failed", f"{name} could not be copied from {self._host}: {last_line(done.stderr)}", "measure again")
        path.write_bytes(done.stdout)

    def start(self) -> WorkerProcess:
        worker = f"cd {shlex.quote(self.folder)} && PYTHONPATH=. exec {shlex.quote(self.client.address.python)} -m kit.supervisor"
        return WorkerProcess(self.client.command([worker]), english(), explain=self._explain)

    @property
    def _host(self) -> str:
        return self.client.address.destination

    def _explain(self, code: int, doing: str, words: str) -> WorkerFailed | None:
        """Why a worker there ended: the supervisor reports signals as shells do, and the client has a code for itself."""
        if code == CONNECTION_FAILED:
            return WorkerFailed("connection-lost", f"the connection to {self._host} was lost in {doing}{words}", "measure again; what was measured is kept")
        if code == 128 + signal.SIGKILL:
            hint = "most likely it ran out of memory: take a smaller batch or a device with more"
            return WorkerFailed("worker-killed", f"the worker was killed in {doing} on {self._host}", hint)
        if code > 128:
            how = signal.Signals(code - 128).name if code - 128 in set(signal.Signals) else f"code {code}"
            return WorkerFailed("worker-crashed", f"the worker was ended by {how} in {doing} on {self._host}{words}", "the other results are not touched by it")
        return None


def python(address: SshAddress, program: str, *arguments: str) -> str:
    """The shell command that runs a program with the host's interpreter."""
    return shlex.join([address.python, "-c", program, *arguments])


def packed(path: Path, name: str) -> bytes:
    """A file or folder as a tar archive under a name; who owns it here is nobody's matter there."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        return None if "__pycache__" in info.name else info

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", dereference=True) as archive:
        archive.add(path, name, filter=plain)
    return data.getvalue()


def last_line(output: bytes) -> str:
    """The last thing a command said."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


@contextmanager
def ssh_workspace(address: SshAddress) -> Iterator[SshWorkspace]:
    """A temporary folder of a host with the kit in it, gone afterwards.

    Raises:
        DeviceError: No connection, no Python or NumPy there, or no room.
    """
    with connected(address) as client:
        workspace = SshWorkspace(client, _folder(client))
        try:
            workspace.put(KIT, "kit")
            yield workspace
        finally:
            with contextlib.suppress(DeviceError, subprocess.SubprocessError):  # without a connection nothing can be removed, and that was told already
                client.run(python(address, REMOVE, workspace.folder))


def _folder(client: SshClient) -> str:
    address = client.address
    done = client.run(python(address, OPEN, address.folder))
    if done.returncode == NOT_FOUND or b"not found" in done.stderr:
        hint = "install Python 3.9 or newer there, or name one: ?python=/path/to/python"
        raise DeviceError("no-python", f"there is no {address.python} on {address.destination}", hint)
    if done.returncode:
        raise DeviceError("no-python", f"{address.python} on {address.destination} fails: {last_line(done.stderr)}", "name another: ?python=/path/to/python")
    try:
        response: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        first = done.stdout.decode(errors="replace").strip().splitlines()[0]
        message = f"the shell on {address.destination} prints text of its own when it starts: {first[:80]!r}"
        raise DeviceError("talkative-shell", message, "let its start-up files be silent for commands (test for an interactive shell first)") from None
    if "no_folder" in response:
        raise DeviceError("no-folder", f"there is no folder {response['no_folder']} on {address.destination}", "make it, or leave out ?folder=")
    if "folder" not in response:
        return _refuse(address, response)
    return str(response["folder"])


def _refuse(address: SshAddress, response: Mapping[str, Any]) -> str:
    version = ".".join(map(str, response["python"]))
    if response["python"] < [3, 9]:
        raise DeviceError("old-python", f"{address.python} on {address.destination} is Python {version}", "name one of 3.9 or newer: ?python=/path/to/python")
    hint = f"there: {address.python} -m pip install numpy; or name another interpreter: ?python=/path/to/python"
    raise DeviceError("no-numpy", f"{address.python} on {address.destination} has no NumPy", hint)


@final
@dataclass(frozen=True)
class Ssh(Device):
    """A host over SSH.

    Args:
        address: The host.
    """

    address: SshAddress

    @property
    def name(self) -> str:
        return self.address.text

    def describe(self) -> DeviceDescription:
        with self._open() as (_, description):
            return description

    def measure(self, jobs: Sequence[Job], images: Path, schedule: Schedule, on_progress: OnProgress) -> Iterator[tuple[Job, DeviceReading | Failure]]:
        with self._open() as (workspace, description):
            lacking = {id(job): self._lacking(job.artefact, description) for job in jobs}
            readings = interleaved(workspace, [job for job in jobs if lacking[id(job)] is None], images, schedule, on_progress)
            for job in jobs:
                yield (job, failure) if (failure := lacking[id(job)]) is not None else next(readings)

    def operators(self, artefact: Artefact, images: Path, threads: int, timeout: float) -> Sequence[Mapping[str, Any]] | Failure:
        with self._open() as (workspace, description):
            return self._lacking(artefact, description) or operators(workspace, artefact, images, threads, timeout)

    @contextmanager
    def _open(self) -> Iterator[tuple[SshWorkspace, DeviceDescription]]:
        with ssh_workspace(self.address) as workspace:
            try:
                description = facts(self.name, workspace)
            except WorkerFailed as error:
                raise DeviceError(error.code, f"{self.address.destination} can't be used: {error.message}", error.hint) from error
            yield dataclasses.replace(workspace, open_cores=description.cores), description

    def _lacking(self, artefact: Artefact, description: DeviceDescription) -> Failure | None:
        """The runtime that an artefact needs and the host lacks."""
        if artefact.runtime not in PACKAGES or artefact.runtime in description.runtimes:
            return None
        title, host = catalogue.runtime(artefact.runtime).title, self.address.destination
        message = f"{title} is not installed for {self.address.python} on {host}"
        hint = f"there: {self.address.python} -m pip install {PACKAGES[artefact.runtime][1]}"
        return Failure(Status.UNSUPPORTED, "runtime-not-on-device", message, hint)


def ssh(text: str) -> Ssh:
    """The device of ``ssh://…``.

    Raises:
        SettingsError: ``bad-ssh-address``.
    """
    return Ssh(read(text))
