"""What page and Markdown show of a matrix, in order: data, not markup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from efficient360.benchmark.board import Board
from efficient360.benchmark.cost_sheets import costs_sheet, coverage_sheet, pairs_sheet, repeat_sheet, utilisation_sheet
from efficient360.benchmark.matrix_sheet import column, matrix_sheet
from efficient360.benchmark.overview import coverage, disturbances
from efficient360.benchmark.ranking import fragmentation
from efficient360.benchmark.ranking_sheets import agreement_sheet, best_sheet, precision_sheet, relative_sheet
from efficient360.benchmark.sheet import Sheet
from efficient360.benchmark.utilisation import peak
from efficient360.core import formatting
from efficient360.deployment.runtimes.runtime import Precision


@final
@dataclass(frozen=True)
class Headline:
    """One figure at the top."""

    title: str
    value: str
    detail: str


@final
@dataclass(frozen=True)
class Reason:
    """Cells of one model that have no number or don't count, and why: those of several devices in one where the reason is the same."""

    model: str
    column: str
    where: str
    text: str
    hint: str


def headlines(board: Board) -> list[Headline]:
    """The figures at the top, of one device."""
    whole, fragment, top = coverage(board), fragmentation(board, Precision.FP32), peak(board)
    found = [Headline("Cells measured and right", f"{100 * whole.counted / max(whole.cells, 1):.0f} %", f"{whole.counted} of {whole.cells}")]
    if fragment is not None:
        best, wins = next(iter(fragment.wins.items()))
        found += [
            Headline("Fastest most often", column(board, best), f"for {wins} of {fragment.models} models"),
            Headline("Runtimes fastest somewhere", str(len(fragment.wins)), f"{sum(fragment.clear.values())} of {fragment.models} wins clear"),
            Headline("Slowest over fastest", f"{fragment.spread:.1f}×", "geometric mean over models"),
        ]
    if top is not None:
        found.append(Headline("Peak of matrix products", formatting.scaled(top.speed, "MAC/s"), f"in {top.label}"))
    return found


def sheets(boards: Sequence[Board]) -> list[Sheet]:
    """The tables over all devices."""
    found = [best_sheet(boards), relative_sheet(boards), precision_sheet(boards), agreement_sheet(boards), coverage_sheet(boards), repeat_sheet(boards)]
    return [sheet for sheet in found if sheet is not None]


def device_sheets(board: Board) -> list[Sheet]:
    """The tables of one device."""
    return [sheet for sheet in (utilisation_sheet(board), pairs_sheet(board), costs_sheet(board)) if sheet is not None]


def matrices(boards: Sequence[Board]) -> list[Sheet]:
    """The matrix of each board."""
    return [matrix_sheet(board) for board in boards]


def reasons(boards: Sequence[Board]) -> list[Reason]:
    """Why cells have no number or don't count, in the order of models and columns."""
    grouped: dict[tuple[str, str, str, str], list[str]] = {}
    for board in boards:
        for model in board.models:
            for label in board.labels:
                cell = board.cells.get((model.name, label))
                if cell is not None and cell.counts is None:
                    hint = "" if cell.gap is None else cell.gap.hint
                    grouped.setdefault((model.name, column(board, label), cell.why_not, hint), []).append(board.name)
    names = [board.name for board in boards]
    return [
        Reason(model, head, "everywhere" if where == names and len(names) > 1 else ", ".join(where), text, hint)
        for (model, head, text, hint), where in grouped.items()
    ]


def provenance(boards: Sequence[Board]) -> list[tuple[str, Mapping[str, Any]]]:
    """What the numbers depend on, under heads."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for board in boards:
        device = board.device
        cells = list(board.cells.values())
        facts = {
            "cpu": device.cpu,
            "architecture": device.architecture,
            "os": device.os,
            "cores": device.cores,
            "memory": formatting.scaled(device.memory, "B"),
            "instruction_sets": list(device.isa),
            "emulated": device.emulated or "no",
            "threads": board.threads,
            "batch": board.batch,
        }
        found.append((f"Device {board.name}", facts))
        found.append((f"Disturbances on {board.name}", {code: f"{n} of {len(cells)} cells" for code, n in disturbances(board).items()} or {"cells": "none"}))
    cells = [cell for board in boards for cell in board.cells.values()]
    found.append(("Runtimes", {cell.target.runtime: cell.target.version or "not on the device" for cell in cells}))
    found.append(("Weights", {cell.model.name: cell.model.weights for cell in cells}))
    newest = max(cells, key=lambda cell: cell.created)
    schedule = newest.schedule
    found.append(
        (
            "Schedule",
            {
                "timed_runs_at_least": schedule.runs,
                "timed_seconds_at_least": schedule.seconds,
                "blocks_that_take_turns": schedule.blocks,
                "seconds_after_which_a_slow_model_stops": schedule.most,
                "warm_up_runs_at_least": schedule.warm_runs,
                "first_cell": min(c.created for c in cells),
                "last_cell": newest.created,
            },
        )
    )
    return found
