"""A matrix's page and its data, drawn from stored cells."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from efficient360.benchmark import page
from efficient360.benchmark.board import DeviceBoard, boards, costs, coverage, disturbances
from efficient360.benchmark.comparison_tables import BASE
from efficient360.benchmark.ranking import device_agreement, fragmentation, macs_and_latency, relative, repeatability
from efficient360.benchmark.store import CellStore
from efficient360.benchmark.utilisation import family_utilisation, matched_pairs, matmul_peak
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
    tables = [board for board in boards(CellStore(folder).cells()) if board.cells]
    if not tables:
        raise RunError("no-cells", f"{folder} holds no measured cells", "name models with --models to measure some")
    written = {
        "index.html": page.render_html(tables),
        "matrix.md": page.render_markdown(tables),
        "matrix.json": json.dumps(plain(tables), ensure_ascii=False, allow_nan=False, indent=1),
    }
    try:
        for name, text in written.items():
            write_atomically(folder / name, text.encode())
    except OSError as error:
        raise RunError("unwritable-folder", f"{folder} can't be written: {error.strerror}", "choose another folder with --out") from error
    return folder / "index.html"


def plain(tables: Sequence[DeviceBoard]) -> dict[str, Any]:
    """The page's numbers as JSON data for other programs: seconds, bytes, multiply-adds."""
    devices = [
        {"first": first.name, "second": second.name, **dataclasses.asdict(device_agreement(first, second))}
        for i, first in enumerate(tables)
        for second in tables[i + 1 :]
    ]
    return {"schema_version": SCHEMA, "boards": [_board(board) for board in tables], "between_devices": devices}


def _board(board: DeviceBoard) -> dict[str, Any]:
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
        "peak": _data(matmul_peak(board)),
        "pairs": [_data(pair) for pair in matched_pairs(board)],
        "repeatability": _data(repeatability(board)),
        "disturbances": disturbances(board),
    }


def _column(board: DeviceBoard, label: str) -> dict[str, Any]:
    return {
        "label": label,
        "title": board.titles[label],
        "costs": _data(costs(board, label)),
        "relative_to_litert": _data(relative(board, label, BASE)),
        "utilisation": _data(family_utilisation(board, label)),
        "macs_and_latency": _data(macs_and_latency(board, label)[1]),
    }


def _cell(board: DeviceBoard, model: str, label: str) -> dict[str, Any]:
    cell = board.cells[model, label]
    numbers = cell.measured
    data: dict[str, Any] = {
        "model": model,
        "column": label,
        "ranked": cell.rankable is not None,
        "why_not": cell.exclusion_reason if cell.rankable is None else None,
    }
    if numbers is not None:
        data |= {"p50": numbers.p50, "interval": [numbers.low, numbers.high], "runs": numbers.runs, "clean": numbers.clean}
    return data


def _data(value: Any) -> Any:
    return None if value is None else dataclasses.asdict(value)
