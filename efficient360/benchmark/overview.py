"""What a column costs beside time, and how much of a board has numbers."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.benchmark.board import Board
from efficient360.benchmark.cells import Measured


@final
@dataclass(frozen=True)
class Coverage:
    """How much of a board has numbers.

    Args:
        cells: Cells in all.
        measured: Cells with a latency.
        counted: Of those the ones whose logits are right.
    """

    cells: int
    measured: int
    counted: int


def coverage(board: Board, label: str = "") -> Coverage:
    """Coverage of a board, or of one of its columns."""
    cells = [cell for (_, column), cell in board.cells.items() if label in ("", column)]
    return Coverage(len(cells), sum(cell.measured is not None for cell in cells), sum(cell.counts is not None for cell in cells))


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


def costs(board: Board, label: str) -> Costs:
    """What a column costs beside time, over the cells that count."""
    cells = [cell for (_, column), cell in board.cells.items() if column == label and cell.counts is not None]
    cold = [(cell.counts, cell.counts.cold) for cell in cells if cell.counts is not None and cell.counts.cold]

    def part(of: Callable[[Measured], list[float]]) -> float | None:
        values = [float(np.median(found)) for numbers, _ in cold if (found := of(numbers))]
        return _median(values)

    held = [(n.memory, n.memory_before) for cell in cells if (n := cell.counts) is not None]
    return Costs(
        imports=part(lambda n: [c.imports for c in n.cold]),
        load=part(lambda n: [c.load for c in n.cold]),
        first=part(lambda n: [c.first for c in n.cold]),
        start=part(lambda n: [(c.load + c.first) / n.p50 for c in n.cold]),
        memory=_median([after for after, _ in held if after is not None]),
        grown=_median([after - before for after, before in held if after is not None and before is not None]),
        artefact=_median([cell.artefact.bytes / (4 * cell.model.parameters) for cell in cells if cell.artefact is not None]),
    )


def disturbances(board: Board) -> Mapping[str, int]:
    """How many measured cells carry each finding, by code, most frequent first."""
    found = Counter(finding.code for cell in board.cells.values() if cell.measured is not None for finding in cell.measured.findings)
    return dict(found.most_common())


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None
