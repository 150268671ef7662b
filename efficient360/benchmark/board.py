"""Stored cells as tables: one for each device, batch and number of threads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from efficient360.benchmark.cells import Cell, DeviceFacts, Measured, ModelFacts, Role
from efficient360.deployment.runtimes.catalogue import ORDER
from efficient360.deployment.runtimes.runtime import Precision

Place = tuple[str, str]
"""A model's name and a ``runtime:precision``."""


@final
@dataclass(frozen=True)
class Board:
    """The matrix on one device.

    Args:
        device: Which.
        batch: Images in a call.
        threads: Threads of the runtimes.
        models: Rows, the yardstick left out.
        labels: Columns, ``runtime:precision``.
        titles: The runtime's name in its makers' words, by label.
        cells: First pass.
        again: Later passes.
        peak: Cells of the yardstick by label.
    """

    device: DeviceFacts
    batch: int
    threads: int
    models: Sequence[ModelFacts]
    labels: Sequence[str]
    titles: Mapping[str, str]
    cells: Mapping[Place, Cell]
    again: Sequence[Mapping[Place, Cell]]
    peak: Mapping[str, Cell]

    @property
    def name(self) -> str:
        """The device, and batch and threads where they are not the usual ones."""
        words = [self.device.name]
        words += [f"batch {self.batch}"] if self.batch != 1 else []
        words += [f"{self.threads} thread{'s' * (self.threads != 1)}"] if self.threads != self.device.cores else []
        return ", ".join(words)

    def counted(self, model: str, label: str) -> Measured | None:
        """The numbers of a cell that may be ranked; ``None`` where there are none."""
        cell = self.cells.get((model, label))
        return None if cell is None else cell.counts

    def labels_of(self, precision: Precision) -> list[str]:
        """Columns of one precision."""
        return [label for label in self.labels if label.endswith(f":{precision}")]


def boards(cells: Sequence[Cell]) -> list[Board]:
    """Cells as boards: real devices first, emulated ones after them. Of cells in the same place and pass the newest stands."""
    grouped: dict[tuple[str, int, int], list[Cell]] = {}
    for cell in cells:
        grouped.setdefault((cell.device.name, cell.target.batch, cell.target.threads), []).append(cell)
    found = [_board(group) for group in grouped.values()]
    return sorted(found, key=lambda board: board.device.emulated != "")


def _board(group: Sequence[Cell]) -> Board:
    newest = group[-1]
    models = {cell.model.name: cell.model for cell in group if cell.model.role is Role.MODEL}
    titles = {cell.target.label: cell.target.title for cell in group if cell.model.role is Role.MODEL}
    turns: dict[int, dict[Place, Cell]] = {}
    peak: dict[str, Cell] = {}
    for cell in group:
        if cell.model.role is Role.PEAK:
            peak[cell.target.label] = cell
        else:
            turns.setdefault(cell.turn, {})[cell.model.name, cell.target.label] = cell
    passes = [turns[turn] for turn in sorted(turns)]
    return Board(
        newest.device,
        newest.target.batch,
        newest.target.threads,
        tuple(models.values()),
        sorted(titles, key=_order),
        titles,
        passes[0] if passes else {},
        passes[1:],
        peak,
    )


def _order(label: str) -> tuple[int, int, str]:
    runtime, _, precision = label.partition(":")
    return list(Precision).index(Precision(precision)), ORDER.index(runtime) if runtime in ORDER else len(ORDER), label
