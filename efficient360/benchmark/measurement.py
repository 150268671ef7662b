"""One model on one device in one pass: measured and stored together, so that a kill loses at most this."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from efficient360.benchmark.cells import ArtefactFacts, BenchmarkCell, CellNumbers, DeviceFacts, MissingNumbers
from efficient360.benchmark.plan import PendingCell, RuntimeChoice
from efficient360.benchmark.store import CellStore
from efficient360.benchmark.workloads import Workload
from efficient360.core.measurement import Failure, Status
from efficient360.core.paths import file_name
from efficient360.deployment.devices.device import Device, DeviceReading, Job, OnProgress, Schedule
from efficient360.deployment.devices.timing import analyse, energy
from efficient360.deployment.runtimes.parity import parity
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.errors import Efficient360Error


@final
@dataclass(frozen=True)
class InterleavedRun:
    """What is measured together, its runtimes taking turns.

    Args:
        subject: The model.
        turn: Which pass.
        device: Where.
        facts: What that is.
        slots: The cells to fill.
        built: Artefacts, or why there are none.
        images: ``.npy`` of the probe images.
        schedule: How often and how long.
        threads: Threads for the runtimes; 0 takes as many as the device has cores.
    """

    workload: Workload
    turn: int
    device: Device
    facts: DeviceFacts
    pending: Sequence[PendingCell]
    built: Mapping[RuntimeChoice, Artefact | Failure]
    images: Path
    schedule: Schedule
    threads: int

    def fill(self, store: CellStore, on_progress: OnProgress) -> list[BenchmarkCell]:
        """Measure and store: raw times first, then the cells that name them."""
        outcomes = self._outcomes(on_progress)
        raw = [samples(key, outcome) for key, outcome in outcomes.items() if isinstance(outcome, DeviceReading)]
        name = f"{file_name(self.workload.facts.name)}-{file_name(self.facts.name)}-pass{self.turn}"
        file = store.append_samples(name, raw) if raw else ""
        cells = [self._cell(cell_plan, outcomes[cell_plan.key], file) for cell_plan in self.pending]
        store.append(cells)
        return cells

    def _outcomes(self, on_progress: OnProgress) -> dict[str, DeviceReading | MissingNumbers]:
        """What became of each slot, by key."""
        gaps = {cell_plan.key: self._gap(cell_plan) for cell_plan in self.pending}
        outcomes: dict[str, DeviceReading | MissingNumbers] = {key: reason for key, reason in gaps.items() if reason is not None}
        jobs = {
            cell_plan.key: Job(artefact, self.threads)
            for cell_plan in self.pending
            if isinstance(artefact := self.built[cell_plan.what], Artefact) and not gaps[cell_plan.key]
        }
        try:
            for key, (_, outcome) in zip(jobs, self.device.measure(list(jobs.values()), self.images, self.schedule, on_progress), strict=True):
                outcomes[key] = outcome if isinstance(outcome, DeviceReading) else gap("measurement", outcome)
        except Efficient360Error as error:  # the device as a whole is gone: the other devices go on
            lost = MissingNumbers("measurement", Status.FAILED, error.code, error.message, error.hint)
            outcomes |= {key: lost for key in jobs if key not in outcomes}
        return outcomes

    def _gap(self, cell_plan: PendingCell) -> MissingNumbers | None:
        """Why there is nothing to measure, before the device is asked."""
        artefact = self.built[cell_plan.what]
        if isinstance(artefact, Failure):
            return gap("conversion", artefact)
        if cell_plan.target.version or cell_plan.what[0].endswith(".py"):
            return None
        message = f"{cell_plan.target.title} is not installed on {self.facts.name}"
        return MissingNumbers("measurement", Status.UNSUPPORTED, "runtime-not-on-device", message, "install it there; efficient360 devices tells what is found")

    def _cell(self, cell_plan: PendingCell, outcome: DeviceReading | MissingNumbers, file: str) -> BenchmarkCell:
        artefact = self.built[cell_plan.what]
        numbers = measured(self.workload, artefact, outcome) if isinstance(outcome, DeviceReading) and isinstance(artefact, Artefact) else None
        return BenchmarkCell(
            key=cell_plan.key,
            created=now(),
            model=self.workload.facts,
            target=cell_plan.target,
            device=self.facts,
            schedule=self.schedule,
            turn=self.turn,
            artefact=artefact_facts(artefact) if isinstance(artefact, Artefact) else None,
            measured=numbers,
            gap=outcome if isinstance(outcome, MissingNumbers) else None,
            samples=file if numbers is not None else "",
        )


def gap(stage: str, failure: Failure) -> MissingNumbers:
    """A failure as a cell's reason.

    Args:
        stage: ``conversion`` or ``measurement``.
        failure: What went wrong.
    """
    return MissingNumbers(stage, failure.status, failure.code, failure.message, failure.hint)


def artefact_facts(artefact: Artefact) -> ArtefactFacts:
    """What a reader should know of an artefact."""
    delegation = artefact.converted.delegation
    share = delegation.delegated / delegation.total if delegation is not None and delegation.total else None
    return ArtefactFacts(artefact.digest, artefact.bytes, dict(artefact.converter), artefact.seconds, dict(artefact.converted.facts), share)


def measured(workload: Workload, artefact: Artefact, reading: DeviceReading) -> CellNumbers:
    """A reading in numbers."""
    timing = analyse(reading)
    joules = energy(reading)
    return CellNumbers(
        p50=timing.p50,
        low=timing.interval.low,
        high=timing.interval.high,
        p90=timing.p90,
        p99=timing.p99,
        clean=timing.clean,
        runs=timing.runs,
        repeated=reading.repeated,
        cold=tuple(reading.cold),
        memory=reading.memory,
        memory_before=reading.memory_before,
        energy=float(np.median(joules)) if joules else None,
        findings=timing.findings,
        parity=None if reading.logits is None else parity(workload.reference, reading.logits, artefact.precision),
    )


def samples(key: str, reading: DeviceReading) -> dict[str, Any]:
    """Raw times of each block in microseconds, to a tenth: as much as the clock is worth."""
    return {
        "key": key,
        "wall_us": [[round(1e6 * seconds, 1) for seconds in block.wall] for block in reading.blocks],
        "cpu_us": [[round(1e6 * seconds, 1) for seconds in block.cpu] for block in reading.blocks],
    }


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
