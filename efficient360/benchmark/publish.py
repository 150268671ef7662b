"""A matrix's page and its data, drawn from stored cells."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from efficient360.benchmark import markdown, page
from efficient360.benchmark.board import Board, boards
from efficient360.benchmark.correlation import between, macs_and_latency, repeatability
from efficient360.benchmark.overview import costs, coverage, disturbances
from efficient360.benchmark.ranking import fragmentation, relative
from efficient360.benchmark.ranking_sheets import BASE
from efficient360.benchmark.store import CellStore
from efficient360.benchmark.utilisation import families, pairs, peak
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import RunError
from efficient360.storage.outcomes import write_atomically

SCHEMA = 1


def publish(folder: Path) -> Path:
    """Write ``index.html``, ``matrix.md`` and ``matrix.json`` beside the cells.

    Args:
        folder: Where the cells lie.

    Returns:
        The page.

    Raises:
        RunError: There are no cells, or the folder can't be written.
    """
    found = [board for board in boards(CellStore(folder).cells()) if board.cells]
    if not found:
        raise RunError("no-cells", f"{folder} holds no measured cells", "name models with --models to measure some")
    written = {
        "index.html": page.render(found),
        "matrix.md": markdown.render(found),
        "matrix.json": json.dumps(plain(found), ensure_ascii=False, allow_nan=False, indent=1),
    }
    try:
        for name, text in written.items():
            write_atomically(folder / name, text.encode())
    except OSError as error:
        raise RunError("unwritable-folder", f"{folder} can't be written: {error.strerror}", "choose another folder with --out") from error
    return folder / "index.html"


def plain(found: Sequence[Board]) -> dict[str, Any]:
    """The page's numbers as JSON data for other programs: seconds, bytes, multiply-adds."""
    devices = [{"first": one.name, "second": other.name, **dataclasses.asdict(between(one, other))} for i, one in enumerate(found) for other in found[i + 1 :]]
    return {"schema_version": SCHEMA, "boards": [_board(board) for board in found], "between_devices": devices}


def _board(board: Board) -> dict[str, Any]:
    return {
        "name": board.name,
        "device": _data(board.device),
        "batch": board.batch,
        "threads": board.threads,
        "models": [_data(m) for m in board.models],
        "columns": [_column(board, label) for label in board.labels],
        "cells": [_cell(board, *place) for place in board.cells],
        "coverage": _data(coverage(board)),
        "best_fp32": _data(fragmentation(board, Precision.FP32)),
        "peak": _data(peak(board)),
        "pairs": [_data(pair) for pair in pairs(board)],
        "repeatability": _data(repeatability(board)),
        "disturbances": disturbances(board),
    }


def _column(board: Board, label: str) -> dict[str, Any]:
    return {
        "label": label,
        "title": board.titles[label],
        "costs": _data(costs(board, label)),
        "relative_to_litert": _data(relative(board, label, BASE)),
        "utilisation": _data(families(board, label)),
        "macs_and_latency": _data(macs_and_latency(board, label)[1]),
    }


def _cell(board: Board, model: str, label: str) -> dict[str, Any]:
    cell = board.cells[model, label]
    numbers = cell.measured
    found: dict[str, Any] = {"model": model, "column": label, "ranked": cell.counts is not None, "why_not": cell.why_not if cell.counts is None else None}
    if numbers is not None:
        found |= {"p50": numbers.p50, "interval": [numbers.low, numbers.high], "runs": numbers.runs, "clean": numbers.clean}
    return found


def _data(value: Any) -> Any:
    return None if value is None else dataclasses.asdict(value)
