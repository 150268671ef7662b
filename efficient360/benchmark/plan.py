"""What the benchmark command is to do: models × runtimes × devices, and which of their cells are still to be measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

from efficient360.benchmark.cells import BenchmarkCell, DeviceFacts, RuntimeFacts, cell_key
from efficient360.benchmark.workloads import Workload, identity_of, matmul_facts, open_matmul, open_workload
from efficient360.benchmark.zoo import ZooEntry
from efficient360.core import canonical
from efficient360.core.measurement import Status
from efficient360.core.paths import file_name
from efficient360.deployment.devices.device import Device, DeviceDescription, Schedule
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.deployment.runtimes.runtime_code import conversion_code, timing_code
from efficient360.errors import SettingsError
from efficient360.models.references import resolve

RuntimeChoice = tuple[str, Precision]
"""A runtime, by name or a plug-in's file, and its arithmetic."""
SCHEDULE = Schedule(runs=30, seconds=0.8, blocks=6, warm_runs=3, warm_seconds=0.3, most=6.0, repeats=1, starts=3, timeout=300.0)
"""Short enough for hundreds of cells, long enough for an interval of the median: thirty runs or six seconds."""

PEAK_RUNTIMES = ("onnxruntime", "openvino", "litert")
"""Runtimes whose matrix products are fast; the best of those that are there is the peak."""


@final
@dataclass(frozen=True)
class MatrixPlan:
    """All that determines a matrix.

    Args:
        models: Its rows.
        targets: Runtimes with their precisions.
        devices: Addresses, as typed.
        out: Folder of cells, artefacts and page.
        batch: Images in a call.
        threads: Threads for the runtimes; 0 takes as many as a device has cores.
        turns: Passes over the whole matrix.
        seed: Of random weights and invented images.
        schedule: How often and how long a cell is run.
        convert_only: Stop after the conversions and leave the artefacts for a later call.
        keep_artefacts: Leave them in any case.
        retry_failed: Take up again what failed in an earlier call.
    """

    models: Sequence[ZooEntry]
    targets: Sequence[RuntimeChoice]
    devices: Sequence[str]
    out: Path
    batch: int = 1
    threads: int = 0
    turns: int = 1
    seed: int = 0
    schedule: Schedule = SCHEDULE
    convert_only: bool = False
    keep_artefacts: bool = False
    retry_failed: bool = False

    def __post_init__(self) -> None:
        for name, value, least, most in (("--batch", self.batch, 1, 2**16), ("--threads", self.threads, 0, 2**12), ("--repeat", self.turns, 1, 10_000)):
            if not least <= value <= most:
                raise SettingsError("bad-option", f"{name} is {value}", f"give a number from {least} to {most}")


def read_targets(text: str) -> list[RuntimeChoice]:
    """The runtimes of what was typed for ``--runtimes``, each once and in order.

    Args:
        text: Parts with commas between them: ``all`` (every runtime that this hardware can have, in fp32: one that is not installed is told), ``installed``, or
            ``runtime[:precision]``.

    Raises:
        SettingsError: No runtime, an unknown one, or a precision that it does not have.
    """
    chosen: list[RuntimeChoice] = []
    for part in (part.strip() for part in text.split(",")):
        choices = _all() if part == "all" else catalogue.targets([part]) if part else []
        chosen += [choice for choice in choices if choice not in chosen]
    if not chosen:
        raise SettingsError("no-runtimes", f"--runtimes {text!r} names no runtime", f"give all, installed, or some of {', '.join(catalogue.names())}")
    return chosen


def _all() -> list[RuntimeChoice]:
    return [(name, Precision.FP32) for name in catalogue.names() if not catalogue.runtime(name).unavailable()]


def read_devices(text: str) -> list[str]:
    """The addresses of what was typed for ``--device``, each once and in order.

    Raises:
        SettingsError: There are none.
    """
    addresses = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not addresses:
        raise SettingsError("no-devices", f"--device {text!r} names no device", "give local, or several with commas")
    return addresses


@final
@dataclass(frozen=True)
class MatrixRow:
    """A model that is still to be opened.

    Args:
        name: What its row is called.
        identity: As in :class:`efficient360.benchmark.cells.ModelFacts`.
        size: ``(3, H, W)``.
        targets: What it is to run in.
        folder: Where its programs and artefacts are kept.
        open: Builds it.
    """

    name: str
    identity: str
    size: tuple[int, int, int]
    targets: Sequence[RuntimeChoice]
    folder: Path
    open: Callable[[], Workload]


def rows(plan: MatrixPlan, artefacts: Path) -> list[MatrixRow]:
    """The matrix-product reference first, then the models.

    Args:
        plan: What is asked for.
        artefacts: Folder for all programs and artefacts.

    Raises:
        CheckpointError: A model is not there or can't be built.
    """
    installed = catalogue.installed()
    peak_runtimes = [name for name in PEAK_RUNTIMES if name in installed] or installed[:1]
    matmul = matmul_facts(plan.seed)
    folder = artefacts / _folder(matmul.name, matmul.identity)
    planned = [
        MatrixRow(matmul.name, matmul.identity, matmul.size, [(n, Precision.FP32) for n in peak_runtimes], folder, partial(open_matmul, plan.seed, folder))
    ]
    for entry in plan.models:
        checkpoint = resolve(entry.spec)
        identity = identity_of(checkpoint, plan.seed)
        folder = artefacts / _folder(entry.name, identity)
        opened = partial(open_workload, entry, checkpoint, plan.seed, folder)
        planned.append(MatrixRow(entry.name, identity, checkpoint.preprocessing.input_size, plan.targets, folder, opened))
    return planned


def _folder(name: str, identity: str) -> str:
    return f"{file_name(name, 'model')}-{identity[:8]}"


@final
@dataclass(frozen=True)
class PendingCell:
    """A cell that is still empty: its key, what is converted for it, and what it is to say of that."""

    key: str
    what: RuntimeChoice
    target: RuntimeFacts


@final
@dataclass(frozen=True)
class PendingRow:
    """What is left of a row in one pass: its empty cells by device, devices without any left out."""

    row: MatrixRow
    turn: int
    pending: Sequence[tuple[Device, DeviceFacts, Sequence[PendingCell]]]

    @property
    def targets(self) -> list[RuntimeChoice]:
        """What has to be converted for it, in the row's order."""
        wanted = {cell_plan.what for *_, pending in self.pending for cell_plan in pending}
        return [what for what in self.row.targets if what in wanted]

    @property
    def steps(self) -> int:
        """Conversions and measurements."""
        return len(self.targets) + sum(len(pending) for *_, pending in self.pending)


def remaining_work(
    plan: MatrixPlan, planned: Sequence[MatrixRow], devices: Sequence[tuple[Device, DeviceDescription]], stored: Mapping[str, BenchmarkCell]
) -> list[PendingRow]:
    """The work in the order in which it is done: pass by pass, row by row.

    Args:
        plan: What is asked for.
        planned: Its rows.
        devices: Its devices and what they are.
        stored: Cells of earlier calls by key.
    """
    work = []
    for turn in range(1, plan.turns + 1):
        for row in planned:
            pending = [(device, DeviceFacts.of(facts), _empty(plan, row, device, facts, turn, stored)) for device, facts in devices]
            if incomplete := [entry for entry in pending if entry[2]]:
                work.append(PendingRow(row, turn, incomplete))
    return work


def cell_code(runtime: str, device: type) -> str:
    """What a cell's numbers depend on in code: the conversion's version, and digests of what converts and what times, with the libraries they import."""
    codes = [[code.digest, dict(code.libraries)] for code in (conversion_code(runtime), timing_code(runtime, device))]
    return canonical.digest([catalogue.runtime(runtime).version, codes], runtime)


def _empty(plan: MatrixPlan, row: MatrixRow, device: Device, facts: DeviceDescription, turn: int, stored: Mapping[str, BenchmarkCell]) -> list[PendingCell]:
    empty = []
    for runtime, precision in row.targets:
        converter = catalogue.runtime(runtime)
        threads = plan.threads or facts.cores
        target = RuntimeFacts(Path(runtime).stem, converter.title, facts.runtimes.get(runtime, ""), precision, plan.batch, threads)
        code = cell_code(runtime, type(device))
        key = cell_key((row.identity, row.size), target, code, DeviceFacts.of(facts), plan.schedule, turn)
        known = stored.get(key)
        failed = known is not None and known.gap is not None and known.gap.status is not Status.UNSUPPORTED
        if known is None or (failed and plan.retry_failed):
            empty.append(PendingCell(key, (runtime, precision), target))
    return empty
