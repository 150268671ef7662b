"""A model on a device in one pass: measured and stored together, so that a kill loses at most this."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from efficient360.benchmark.cells import Cell, DeviceFacts, Gap
from efficient360.benchmark.plan import What
from efficient360.benchmark.recording import artefact_facts, gap, measured, now, samples
from efficient360.benchmark.rows import slug
from efficient360.benchmark.store import CellStore
from efficient360.benchmark.subject import Subject
from efficient360.benchmark.work import Slot
from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.device import Device, Job, Reading, Schedule, Told
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.errors import Efficient360Error


@final
@dataclass(frozen=True)
class Unit:
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

    subject: Subject
    turn: int
    device: Device
    facts: DeviceFacts
    slots: Sequence[Slot]
    built: Mapping[What, Artefact | Failure]
    images: Path
    schedule: Schedule
    threads: int

    def fill(self, store: CellStore, told: Told) -> list[Cell]:
        """Measure and store: raw times first, then the cells that name them."""
        found = self._outcomes(told)
        raw = [samples(key, outcome) for key, outcome in found.items() if isinstance(outcome, Reading)]
        name = f"{slug(self.subject.facts.name)}-{slug(self.facts.name)}-pass{self.turn}"
        file = store.append_samples(name, raw) if raw else ""
        cells = [self._cell(slot, found[slot.key], file) for slot in self.slots]
        store.append(cells)
        return cells

    def _outcomes(self, told: Told) -> dict[str, Reading | Gap]:
        """What became of each slot, by key."""
        gaps = {slot.key: self._gap(slot) for slot in self.slots}
        found: dict[str, Reading | Gap] = {key: reason for key, reason in gaps.items() if reason is not None}
        jobs = {slot.key: Job(artefact, self.threads) for slot in self.slots if isinstance(artefact := self.built[slot.what], Artefact) and not gaps[slot.key]}
        try:
            for key, (_, outcome) in zip(jobs, self.device.measure(list(jobs.values()), self.images, self.schedule, told), strict=True):
                found[key] = outcome if isinstance(outcome, Reading) else gap("measurement", outcome)
        except Efficient360Error as error:  # the device as a whole is gone: the other devices go on
            lost = Gap("measurement", Status.FAILED, error.code, error.message, error.hint)
            found |= {key: lost for key in jobs if key not in found}
        return found

    def _gap(self, slot: Slot) -> Gap | None:
        """Why there is nothing to measure, before the device is asked."""
        artefact = self.built[slot.what]
        if isinstance(artefact, Failure):
            return gap("conversion", artefact)
        if slot.target.version or slot.what[0].endswith(".py"):
            return None
        message = f"{slot.target.title} is not installed on {self.facts.name}"
        return Gap("measurement", Status.UNSUPPORTED, "runtime-not-on-device", message, "install it there; efficient360 devices tells what is found")

    def _cell(self, slot: Slot, outcome: Reading | Gap, file: str) -> Cell:
        artefact = self.built[slot.what]
        numbers = measured(self.subject, artefact, outcome) if isinstance(outcome, Reading) and isinstance(artefact, Artefact) else None
        return Cell(
            key=slot.key,
            created=now(),
            model=self.subject.facts,
            target=slot.target,
            device=self.facts,
            schedule=self.schedule,
            turn=self.turn,
            artefact=artefact_facts(artefact) if isinstance(artefact, Artefact) else None,
            measured=numbers,
            gap=outcome if isinstance(outcome, Gap) else None,
            samples=file if numbers is not None else "",
        )
