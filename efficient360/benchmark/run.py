"""Fill the matrix: one model at a time, converted for all runtimes, then measured on each device with the runtimes taking turns."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from efficient360.benchmark.cells import BenchmarkCell
from efficient360.benchmark.measurement import InterleavedRun
from efficient360.benchmark.plan import MatrixPlan, MatrixRow, PendingRow, RuntimeChoice, remaining_work, rows
from efficient360.benchmark.progress import ProgressMeter
from efficient360.benchmark.store import CellStore
from efficient360.benchmark.workloads import Workload
from efficient360.core.measurement import Failure, Status
from efficient360.core.reading import Reader
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.building import build
from efficient360.deployment.runtimes.runtime import Artefact, Precision
from efficient360.deployment.runtimes.runtime_code import conversion_code
from efficient360.errors import CheckpointError, RunError
from efficient360.storage.outcomes import Store


def run(plan: MatrixPlan, meter: ProgressMeter) -> None:
    """Measure every cell of the plan that is not stored yet.

    Args:
        plan: What is asked for.
        meter: Told how far it is.

    Raises:
        RunError: The folder can't be written, or another process writes to it.
        SettingsError: No device has an address that was typed.
        CheckpointError: A model is not there or can't be built.
        Efficient360Error: A device can't be reached at the start.
    """
    store = CellStore(plan.out)
    places = [device_from_address(address) for address in plan.devices]
    planned = rows(plan, store.artefacts)
    store.prepare()
    with Store(plan.out).writer():
        if plan.convert_only:
            _convert_only(plan, planned, meter)
            return
        work = remaining_work(plan, planned, [(place, place.describe()) for place in places], store.finished())
        meter.expect(sum(entry.steps for entry in work))
        last = {entry.row.name: entry.turn for entry in work}
        for entry in work:
            _measure(plan, store, entry, meter)
            if not plan.keep_artefacts and entry.turn == last[entry.row.name]:
                shutil.rmtree(entry.row.folder, ignore_errors=True)


def _convert_only(plan: MatrixPlan, planned: Sequence[MatrixRow], meter: ProgressMeter) -> None:
    meter.expect(sum(len(row.targets) for row in planned))
    for row in planned:
        if (workload := _opened(row, len(row.targets), meter)) is None:
            continue
        for (runtime, precision), outcome in _converted(plan, workload, row.targets, meter).items():
            if isinstance(outcome, Failure):
                meter.say(f"  {row.name} has no {runtime}:{precision}: {outcome.message}")


def _opened(row: MatrixRow, steps: int, meter: ProgressMeter) -> Workload | None:
    """The row's model; ``None``, said why, where its network can't be trusted: the other rows go on."""
    try:
        return row.open()
    except CheckpointError as error:
        meter.step(f"{row.name} is left out: {error.message}")
        meter.done += steps - 1
        return None


def _converted(plan: MatrixPlan, workload: Workload, targets: Sequence[RuntimeChoice], meter: ProgressMeter) -> Mapping[RuntimeChoice, Artefact | Failure]:
    return convert(workload, targets, plan.batch, plan.retry_failed, lambda label: meter.step(f"{workload.facts.name}: converting for {label}"))


def _measure(plan: MatrixPlan, store: CellStore, work: PendingRow, meter: ProgressMeter) -> None:
    if (workload := _opened(work.row, work.steps, meter)) is None:
        return
    name = workload.facts.name
    built = _converted(plan, workload, work.targets, meter)
    with TemporaryDirectory(prefix="efficient360-") as folder:
        images = Path(folder) / "probes.npy"
        np.save(images, workload.probes)
        for device, facts, pending in work.pending:
            unit = InterleavedRun(workload, work.turn, device, facts, pending, built, images, plan.schedule, plan.threads)
            on_progress = meter.part(f"{name} on {facts.name}: measuring {len(pending)} artefacts", len(pending))
            for cell in unit.fill(store, on_progress):
                meter.say(f"  {name} on {facts.name}, {cell.target.label}: {_describe(cell)}")


def _describe(cell: BenchmarkCell) -> str:
    if cell.measured is None:
        return cell.exclusion_reason
    text = f"{1e3 * cell.measured.p50:.3g} ms [{1e3 * cell.measured.low:.3g}, {1e3 * cell.measured.high:.3g}]"
    return text if cell.rankable is not None else f"{text}, not ranked: {cell.exclusion_reason}"


FAILED = "failed.json"


def convert(
    workload: Workload, targets: Sequence[RuntimeChoice], batch: int, retry_failed: bool, on_target: Callable[[str], None]
) -> dict[RuntimeChoice, Artefact | Failure]:
    """Build artefacts, or take what an earlier call left.

    Args:
        workload: Of what.
        targets: For which runtimes.
        batch: Images in a call.
        retry_failed: Whether what failed in an earlier call is tried again.
        on_target: Called with ``runtime:precision`` before each.
    """
    path = workload.source.folder / FAILED
    remembered = _read_failures(path)
    built: dict[RuntimeChoice, Artefact | Failure] = {}
    for runtime, precision in targets:
        on_target(f"{runtime}:{precision}")
        key = _conversion_key(workload, runtime, precision, batch)
        if key in remembered and not retry_failed:
            built[runtime, precision] = remembered[key]
            continue
        outcome = build(workload.source, runtime, precision, batch)
        built[runtime, precision] = outcome
        if isinstance(outcome, Failure) and outcome.status is Status.FAILED:
            remembered[key] = outcome
            _write_failures(path, remembered)
        elif remembered.pop(key, None) is not None:
            _write_failures(path, remembered)
    return built


def _conversion_key(workload: Workload, runtime: str, precision: Precision, batch: int) -> str:
    converter = catalogue.runtime(runtime)
    code = conversion_code(runtime)
    parts = [workload.facts.identity, Path(runtime).stem, converter.version, code.digest, dict(code.libraries), catalogue.versions(converter), precision, batch]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


_READER: Final = Reader(RunError, "unreadable-run", "delete it, and convert again")


def _read_failures(path: Path) -> dict[str, Failure]:
    try:
        data = _READER.from_json(_READER.read_bytes(path), path)
        return {key: Failure(Status(stored["status"]), stored["code"], stored["message"], stored["hint"]) for key, stored in data.items()}
    except (RunError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write_failures(path: Path, failures: dict[str, Failure]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({key: dataclasses.asdict(failure) for key, failure in failures.items()}), encoding="utf-8")
    part.replace(path)
