"""What is left to do: the cells of a plan that no earlier call has filled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from efficient360.benchmark.cells import Cell, DeviceFacts, Target, cell_key
from efficient360.benchmark.plan import MatrixPlan, What
from efficient360.benchmark.rows import Row
from efficient360.core.measurement import Status
from efficient360.deployment.devices.device import Device, Facts
from efficient360.deployment.runtimes import catalogue


@final
@dataclass(frozen=True)
class Slot:
    """A cell that is still empty: its key, what is converted for it, and what it is to say of that."""

    key: str
    what: What
    target: Target


@final
@dataclass(frozen=True)
class Work:
    """What is left of a row in one pass: its empty cells by device, devices without any left out."""

    row: Row
    turn: int
    slots: Sequence[tuple[Device, DeviceFacts, Sequence[Slot]]]

    @property
    def targets(self) -> list[What]:
        """What has to be converted for it, in the row's order."""
        wanted = {slot.what for *_, slots in self.slots for slot in slots}
        return [what for what in self.row.targets if what in wanted]

    @property
    def steps(self) -> int:
        """Conversions and measurements."""
        return len(self.targets) + sum(len(slots) for *_, slots in self.slots)


def left(plan: MatrixPlan, found: Sequence[Row], devices: Sequence[tuple[Device, Facts]], stored: Mapping[str, Cell]) -> list[Work]:
    """The work in the order in which it is done: pass by pass, row by row.

    Args:
        plan: What is asked for.
        found: Its rows.
        devices: Its devices and what they are.
        stored: Cells of earlier calls by key.
    """
    work = []
    for turn in range(1, plan.turns + 1):
        for row in found:
            slots = [(device, DeviceFacts.of(facts), _empty(plan, row, facts, turn, stored)) for device, facts in devices]
            if some := [one for one in slots if one[2]]:
                work.append(Work(row, turn, some))
    return work


def _empty(plan: MatrixPlan, row: Row, facts: Facts, turn: int, stored: Mapping[str, Cell]) -> list[Slot]:
    empty = []
    for runtime, precision in row.targets:
        found = catalogue.runtime(runtime)
        threads = plan.threads or facts.cores
        target = Target(Path(runtime).stem, found.title, facts.runtimes.get(runtime, ""), precision, plan.batch, threads)
        key = cell_key((row.identity, row.size), target, found.version, DeviceFacts.of(facts), plan.schedule, turn)
        known = stored.get(key)
        failed = known is not None and known.gap is not None and known.gap.status is not Status.UNSUPPORTED
        if known is None or (failed and plan.retry_failed):
            empty.append(Slot(key, (runtime, precision), target))
    return empty
