"""Fill the matrix: a model at a time, converted for all runtimes, then measured on each device with the runtimes taking turns."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from efficient360.benchmark.cells import Cell
from efficient360.benchmark.conversion import convert
from efficient360.benchmark.plan import MatrixPlan, What
from efficient360.benchmark.progress import Meter
from efficient360.benchmark.rows import Row, rows
from efficient360.benchmark.store import CellStore
from efficient360.benchmark.subject import Subject
from efficient360.benchmark.unit import Unit
from efficient360.benchmark.work import Work, left
from efficient360.core.measurement import Failure
from efficient360.deployment.devices.addresses import device as device_of
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.errors import CheckpointError
from efficient360.storage.outcomes import Store


def run(plan: MatrixPlan, meter: Meter) -> None:
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
    places = [device_of(address) for address in plan.devices]
    found = rows(plan, store.artefacts)
    store.prepare()
    with Store(plan.out).writer():
        if plan.convert_only:
            _convert_only(plan, found, meter)
            return
        work = left(plan, found, [(place, place.describe()) for place in places], store.finished())
        meter.expect(sum(one.steps for one in work))
        last = {one.row.name: one.turn for one in work}
        for one in work:
            _measure(plan, store, one, meter)
            if not plan.keep_artefacts and one.turn == last[one.row.name]:
                shutil.rmtree(one.row.folder, ignore_errors=True)


def _convert_only(plan: MatrixPlan, found: Sequence[Row], meter: Meter) -> None:
    meter.expect(sum(len(row.targets) for row in found))
    for row in found:
        if (subject := _opened(row, len(row.targets), meter)) is None:
            continue
        for (runtime, precision), outcome in _converted(plan, subject, row.targets, meter).items():
            if isinstance(outcome, Failure):
                meter.say(f"  {row.name} has no {runtime}:{precision}: {outcome.message}")


def _opened(row: Row, steps: int, meter: Meter) -> Subject | None:
    """The row's model; ``None``, said why, where its network can't be trusted: the other rows go on."""
    try:
        return row.open()
    except CheckpointError as error:
        meter.step(f"{row.name} is left out: {error.message}")
        meter.done += steps - 1
        return None


def _converted(plan: MatrixPlan, subject: Subject, targets: Sequence[What], meter: Meter) -> Mapping[What, Artefact | Failure]:
    return convert(subject, targets, plan.batch, plan.retry_failed, lambda label: meter.step(f"{subject.facts.name}: converting for {label}"))


def _measure(plan: MatrixPlan, store: CellStore, work: Work, meter: Meter) -> None:
    if (subject := _opened(work.row, work.steps, meter)) is None:
        return
    name = subject.facts.name
    built = _converted(plan, subject, work.targets, meter)
    with TemporaryDirectory(prefix="efficient360-") as folder:
        images = Path(folder) / "probes.npy"
        np.save(images, subject.probes)
        for device, facts, slots in work.slots:
            unit = Unit(subject, work.turn, device, facts, slots, built, images, plan.schedule, plan.threads)
            told = meter.part(f"{name} on {facts.name}: measuring {len(slots)} artefacts", len(slots))
            for cell in unit.fill(store, told):
                meter.say(f"  {name} on {facts.name}, {cell.target.label}: {_said(cell)}")


def _said(cell: Cell) -> str:
    if cell.measured is None:
        return cell.why_not
    said = f"{1e3 * cell.measured.p50:.3g} ms [{1e3 * cell.measured.low:.3g}, {1e3 * cell.measured.high:.3g}]"
    return said if cell.counts is not None else f"{said}, not ranked: {cell.why_not}"
