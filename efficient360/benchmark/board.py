"""Stored cells as tables: one for each device, batch and number of threads, with their coverage and costs beside latency."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.benchmark.cells import BenchmarkCell, CellNumbers, DeviceFacts, ModelFacts, RowRole
from efficient360.deployment.runtimes.catalogue import ORDER
from efficient360.deployment.runtimes.runtime import Precision

Workspace = tuple[str, str]
"""A model's name and a ``runtime:precision``."""


@final
@dataclass(frozen=True)
class DeviceBoard:
    """The matrix on one device.

    Args:
        device: Which.
        batch: Images in a call.
        threads: Threads of the runtimes.
        models: Rows, without the matrix-product reference.
        labels: Columns, ``runtime:precision``.
        titles: The runtime's name in its makers' words, by label.
        cells: First pass.
        again: Cells of later passes.
        peak: Cells of the matrix-product reference by label.
    """

    device: DeviceFacts
    batch: int
    threads: int
    models: Sequence[ModelFacts]
    labels: Sequence[str]
    titles: Mapping[str, str]
    cells: Mapping[Workspace, BenchmarkCell]
    again: Sequence[Mapping[Workspace, BenchmarkCell]]
    peak: Mapping[str, BenchmarkCell]

    @property
    def name(self) -> str:
        """The device, and batch and threads where they are not the usual ones."""
        words = [self.device.name]
        words += [f"batch {self.batch}"] if self.batch != 1 else []
        words += [f"{self.threads} thread{'s' * (self.threads != 1)}"] if self.threads != self.device.cores else []
        return ", ".join(words)

    def rankable_numbers(self, model: str, label: str) -> CellNumbers | None:
        """The numbers of a cell that may be ranked; ``None`` where there are none."""
        cell = self.cells.get((model, label))
        return None if cell is None else cell.rankable

    def labels_of(self, precision: Precision) -> list[str]:
        """Columns of one precision."""
        return [label for label in self.labels if label.endswith(f":{precision}")]


def boards(cells: Sequence[BenchmarkCell]) -> list[DeviceBoard]:
    """Cells as boards: real devices first, emulated ones after them. Of cells in the same place and pass the newest stands."""
    grouped: dict[tuple[str, int, int], list[BenchmarkCell]] = {}
    for cell in cells:
        grouped.setdefault((cell.device.name, cell.target.batch, cell.target.threads), []).append(cell)
    tables = [_board(group) for group in grouped.values()]
    return sorted(tables, key=lambda board: board.device.emulated != "")


def _board(group: Sequence[BenchmarkCell]) -> DeviceBoard:
    newest = group[-1]
    models = {cell.model.name: cell.model for cell in group if cell.model.role is RowRole.MODEL}
    titles = {cell.target.label: cell.target.title for cell in group if cell.model.role is RowRole.MODEL}
    turns: dict[int, dict[Workspace, BenchmarkCell]] = {}
    peak: dict[str, BenchmarkCell] = {}
    for cell in group:
        if cell.model.role is RowRole.PEAK:
            peak[cell.target.label] = cell
        else:
            turns.setdefault(cell.turn, {})[cell.model.name, cell.target.label] = cell
    passes = [turns[turn] for turn in sorted(turns)]
    return DeviceBoard(
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


@final
@dataclass(frozen=True)
class Coverage:
    """How much of a board has numbers.

    Args:
        cells: Cells in all.
        measured: Cells with a latency.
        counted: Cells that also pass the parity check.
    """

    cells: int
    measured: int
    counted: int


def coverage(board: DeviceBoard, label: str = "") -> Coverage:
    """Coverage of a board, or of one of its columns."""
    cells = [cell for (_, column), cell in board.cells.items() if label in ("", column)]
    return Coverage(len(cells), sum(cell.measured is not None for cell in cells), sum(cell.rankable is not None for cell in cells))


@final
@dataclass(frozen=True)
class Costs:
    """A column beside its latency, medians over its models; ``None`` where the device does not tell.

    Args:
        imports: Seconds to import the runtime.
        load: Seconds to load an artefact.
        first: Seconds of the first inference.
        start: Load and first inference in steady inferences: so many the cold start costs.
        memory: Most resident bytes of the process.
        grown: Of those the ones that came after the runtime's import.
        artefact: Artefact bytes over the bytes of the parameters in float32.
    """

    imports: float | None
    load: float | None
    first: float | None
    start: float | None
    memory: float | None
    grown: float | None
    artefact: float | None


def costs(board: DeviceBoard, label: str) -> Costs:
    """What a column costs beside time, over the cells that count."""
    cells = [cell for (_, column), cell in board.cells.items() if column == label and cell.rankable is not None]
    cold = [(cell.rankable, cell.rankable.cold) for cell in cells if cell.rankable is not None and cell.rankable.cold]

    def part(values_of: Callable[[CellNumbers], list[float]]) -> float | None:
        values = [float(np.median(samples)) for numbers, _ in cold if (samples := values_of(numbers))]
        return _median(values)

    held = [(n.memory, n.memory_before) for cell in cells if (n := cell.rankable) is not None]
    return Costs(
        imports=part(lambda n: [c.imports for c in n.cold]),
        load=part(lambda n: [c.load for c in n.cold]),
        first=part(lambda n: [c.first for c in n.cold]),
        start=part(lambda n: [(c.load + c.first) / n.p50 for c in n.cold]),
        memory=_median([after for after, _ in held if after is not None]),
        grown=_median([after - before for after, before in held if after is not None and before is not None]),
        artefact=_median([cell.artefact.bytes / (4 * cell.model.parameters) for cell in cells if cell.artefact is not None]),
    )


def disturbances(board: DeviceBoard) -> Mapping[str, int]:
    """How many measured cells carry each finding, by code, most frequent first."""
    codes = Counter(finding.code for cell in board.cells.values() if cell.measured is not None for finding in cell.measured.findings)
    return dict(codes.most_common())


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None
