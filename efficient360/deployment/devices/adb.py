"""A phone over ADB: the artefact and the runtime's own benchmark binary are pushed, it is run, and what it prints is read.

Answers don't come back from such a binary: that the artefact is right rests on the host's own check of it.
"""

import contextlib
import hashlib
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.adb_client import BINARIES, AdbAddress, Battery, Phone, battery, fastest_cpus, phone, phone_facts, quoted, read
from efficient360.deployment.devices.benchmark_binary import BenchmarkBinary, BenchmarkModel, BinaryOutput
from efficient360.deployment.devices.device import ColdStart, Device, DeviceDescription, DeviceReading, Job, OnProgress, Schedule, TimingBlock
from efficient360.deployment.devices.worker import WorkerFailed
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.errors import DeviceError

TOOLS: Mapping[str, BenchmarkBinary] = {tool.runtime: tool for tool in (BenchmarkModel(),)}
STEADY = 0.05  # as of a worker: medians of two halves that differ by less


@final
@dataclass
class _Running:
    """A job in hand: how it is called, and what the calls said so far."""

    job: Job
    tool: BenchmarkBinary
    threads: int
    prefix: str
    cpus: Sequence[int]
    memory: BinaryOutput
    calls: list[BinaryOutput] = field(default_factory=list)
    blocks: list[TimingBlock] = field(default_factory=list)


@final
@dataclass(frozen=True)
class Adb(Device):
    """A phone over ADB.

    Args:
        address: The phone.
    """

    address: AdbAddress

    @property
    def name(self) -> str:
        return self.address.text

    def describe(self) -> DeviceDescription:
        return phone_facts(phone(self.address), self.name, {name: _version(file) for name, file in self._brought().items()})

    def measure(self, jobs: Sequence[Job], images: Path, schedule: Schedule, on_progress: OnProgress) -> Iterator[tuple[Job, DeviceReading | Failure]]:
        """Copy the artefacts to the phone, run its benchmark binary in interleaved blocks, read what it says."""
        device = phone(self.address)
        brought = self._brought()
        total = len(jobs) * (schedule.blocks + 1)
        with _folder(device, self.address.folder) as folder:
            before = battery(device)
            outcomes: list[_Running | Failure] = []
            for done, job in enumerate(jobs):
                on_progress(done, total)
                outcomes.append(_prepared(device, folder, job, brought, schedule))
            done = len(jobs)
            for _ in range(schedule.blocks):
                for index, running in enumerate(outcomes):
                    on_progress(done, total)
                    done += 1
                    if isinstance(running, _Running) and not _spent(running, schedule):
                        outcomes[index] = _block(device, folder, running, schedule)
            batteries = before, battery(device)
            for job, outcome in zip(jobs, outcomes, strict=True):
                yield job, outcome if isinstance(outcome, Failure) else _reading(outcome, brought[outcome.tool.runtime], batteries)

    def operators(self, artefact: Artefact, images: Path, threads: int, timeout: float) -> Sequence[Mapping[str, Any]] | Failure:
        message = f"operator times of {catalogue.runtime(artefact.runtime).title} are not read over ADB"
        return Failure(Status.UNSUPPORTED, "no-profiler", message, "take them on local or over SSH")

    def _brought(self) -> dict[str, Path]:
        """The binaries that the user brought, by runtime."""
        if not self.address.binaries:
            return {}
        folder = Path(self.address.binaries).expanduser()
        if not folder.is_dir():
            raise DeviceError("no-binaries", f"there is no folder {folder}", f"give the folder of your benchmark binaries in ?binaries= or {BINARIES}")
        return {name: folder / tool.file for name, tool in TOOLS.items() if (folder / tool.file).is_file()}


@contextmanager
def _folder(device: Phone, parent: str) -> Iterator[str]:
    """A temporary folder there, gone afterwards with all that still runs in it."""
    folder = f"{parent}/efficient360-{secrets.token_hex(4)}"
    result = device.shell(quoted("mkdir", folder))
    if result.code:
        raise DeviceError("no-folder", f"no folder can be made in {parent} on {device.serial}: {result.output.strip()}", "give another: ?folder=")
    try:
        yield folder
    finally:
        # A phone that went away can't be tidied, and that was told already.
        with contextlib.suppress(DeviceError, subprocess.TimeoutExpired):
            device.shell(f"kill -9 $(cat {folder}/pid 2>/dev/null) 2>/dev/null; rm -rf {quoted(folder)}")


def _prepared(device: Phone, folder: str, job: Job, brought: Mapping[str, Path], schedule: Schedule) -> _Running | Failure:
    name = job.artefact.runtime
    if name not in TOOLS:
        message = f"{catalogue.runtime(name).title} can't be run over ADB: no binary of its own is known that runs an artefact as it is"
        return Failure(Status.UNSUPPORTED, "no-benchmark-binary", message, f"over ADB there is {', '.join(catalogue.runtime(n).title for n in TOOLS)}")
    tool = TOOLS[name]
    if name not in brought:
        message = f"{catalogue.runtime(name).title} needs its {tool.file} for the phone, which was not brought"
        return Failure(Status.UNSUPPORTED, "no-benchmark-binary", message, f"{tool.get}, into a folder named by ?binaries= or {BINARIES}")
    threads = job.threads or phone_facts(device, "", {}).cores
    cpus = fastest_cpus(device, threads)
    pin = f"taskset {sum(1 << cpu for cpu in cpus):x} " if cpus else ""
    try:
        device.push(job.artefact.folder, f"{folder}/{job.artefact.digest}")
        device.push(brought[name], f"{folder}/{tool.file}")
        device.shell(quoted("chmod", "755", f"{folder}/{tool.file}"))
        memory = _call(device, folder, pin, tool, tool.memory_arguments(job.artefact, f"{folder}/{job.artefact.digest}", threads), schedule.timeout)
    except WorkerFailed as error:
        return Failure.of(Status.FAILED, error)
    return _Running(job, tool, threads, pin, cpus, memory)


def _block(device: Phone, folder: str, running: _Running, schedule: Schedule) -> _Running | Failure:
    """As many calls as yield a block's runs."""
    tool, artefact = running.tool, running.job.artefact
    arguments = tool.arguments(artefact, f"{folder}/{artefact.digest}", running.threads, (schedule.warm_runs, schedule.warm_seconds))
    began, outputs = time.monotonic(), []
    try:
        for _ in range(-(-schedule.runs // schedule.blocks // tool.runs) or 1):
            outputs.append(_call(device, folder, running.prefix, tool, arguments, schedule.timeout))
    except WorkerFailed as error:
        return Failure.of(Status.FAILED, error)
    running.calls += outputs
    running.blocks.append(TimingBlock([run for output in outputs for run in output.runs], [], time.monotonic() - began, process=len(running.blocks)))
    return running


def _spent(running: _Running, schedule: Schedule) -> bool:
    runs = [run for block in running.blocks for run in block.wall]
    return sum(runs) >= schedule.most and len(runs) >= 3


def _call(device: Phone, folder: str, prefix: str, tool: BenchmarkBinary, arguments: Sequence[str], timeout: float) -> BinaryOutput:
    """Run a binary once.

    Raises:
        WorkerFailed: It crashed, hung, was killed, failed, or printed no figures.
    """
    # The shell writes its own number and then becomes the binary: so a binary that hangs can be ended.
    inner = f"echo $$ > {folder}/pid; cd {folder}; exec {prefix}./{tool.file} {quoted(*arguments)}"
    try:
        result = device.shell(f"LD_LIBRARY_PATH={folder} sh -c {quoted(inner)}", timeout)
    except subprocess.TimeoutExpired:
        device.shell(f"kill -9 $(cat {folder}/pid)")
        message = f"{tool.file} gave no answer for {timeout:.0f} s and was ended"
        raise WorkerFailed("worker-hung", message, "raise the time limit if the model is that slow") from None
    lines = [line.strip() for line in result.output.splitlines() if line.strip()]
    last = f": {lines[-1][:300]}" if lines else ""
    if result.code == 128 + signal.SIGKILL:
        raise WorkerFailed("worker-killed", f"{tool.file} was killed on {device.serial}", "most likely it ran out of memory: take a smaller model or batch")
    if result.code > 128:
        raise WorkerFailed("worker-crashed", f"{tool.file} crashed on {device.serial} (signal {result.code - 128}){last}", "take a binary built for its ABI")
    if result.code:
        raise WorkerFailed("runtime-error", f"{tool.file} failed on {device.serial} with code {result.code}{last}", "take a binary built for its ABI")
    try:
        return tool.read(result.output)
    except ValueError as error:
        raise WorkerFailed("runtime-error", f"{tool.file} printed what can't be read ({error}){last}", "take a newer or older build of it") from error


def _reading(running: _Running, binary: Path, batteries: tuple[Battery | None, Battery | None]) -> DeviceReading:
    runs = np.concatenate([np.asarray(block.wall) for block in running.blocks])
    halves = [float(np.median(half)) for half in np.array_split(runs, 2) if len(half)]
    first, last = batteries
    facts = {
        "tool": running.tool.file,
        "samples": running.tool.sampling,
        "calls": len(running.calls),
        "input": "made up by the tool",
        "cpus": ", ".join(map(str, running.cpus)) if running.cpus else "not pinned",
        "last_words": list(running.calls[-1].summary),
        **({"battery_before": asdict(first)} if first else {}),
        **({"battery_after": asdict(last)} if last else {}),
    }
    return DeviceReading(
        blocks=tuple(running.blocks),
        # Nothing is imported: the runtime is part of the binary.
        cold=tuple(ColdStart(0.0, call.load, call.first) for call in running.calls),
        steady=len(halves) == 2 and abs(halves[1] / halves[0] - 1) < STEADY,
        threads=running.threads,
        version=_version(binary),
        memory=running.memory.memory,
        memory_before=None,
        logits=None,
        facts=facts,
    )


def _version(binary: Path) -> str:
    """What tells one build of a binary from another: it prints no version."""
    return f"{binary.name} {hashlib.sha256(binary.read_bytes()).hexdigest()[:12]}"


def adb(text: str) -> Adb:
    """The device of ``adb://…``.

    Raises:
        SettingsError: ``bad-adb-address``.
    """
    return Adb(read(text))
