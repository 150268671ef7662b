"""The matrix itself: models down, runtimes across."""

from efficient360.benchmark.board import Board
from efficient360.benchmark.cells import Cell, Measured, ModelFacts
from efficient360.benchmark.ranking import is_clear, ranking
from efficient360.benchmark.sheet import Box, Kind, Sheet
from efficient360.benchmark.zoo import Family
from efficient360.core.formatting import scaled, significant
from efficient360.core.measurement import Status
from efficient360.deployment.runtimes.runtime import Precision

GAPS = {Status.UNSUPPORTED: "not possible", Status.FAILED: "failed", Status.NOT_RUN: "not run"}
FAMILIES = {Family.VIT: "ViT", Family.HYBRID: "hybrid", Family.CNN: "CNN", Family.UNKNOWN: ""}


def matrix_sheet(board: Board) -> Sheet:
    """Median latency of a call in milliseconds with its 95 % interval, or why there is none."""
    note = "Median of a call in milliseconds, its 95 % interval below. The fastest runtime of a row at each precision is marked; ✓ where it is so beyond doubt."
    emulated = f"Not real hardware: {board.device.emulated}. " if board.device.emulated else ""
    head = ("Model", *(column(board, label) for label in board.labels))
    return Sheet(f"Latency on {board.name}", emulated + note, head, tuple(_row(board, model) for model in board.models))


def column(board: Board, label: str) -> str:
    """A column's head: the runtime in its makers' words, with the precision where it is not fp32."""
    precision = label.partition(":")[2]
    return board.titles[label] if precision == Precision.FP32 else f"{board.titles[label]} {precision}"


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds to three digits, without the unit."""
    return significant(1e3 * seconds)


def _row(board: Board, model: ModelFacts) -> tuple[Box, ...]:
    best: dict[str, bool] = {}
    for precision in Precision:
        ranked = ranking(board, model.name, precision)
        if len(ranked) > 1:
            best[ranked[0][0]] = is_clear(ranked)
    detail = ", ".join(part for part in (FAMILIES[model.family], "" if model.macs is None else scaled(model.macs, "MAC")) if part)
    return (Box(model.name, detail), *(_box(board.cells.get((model.name, label)), best.get(label)) for label in board.labels))


def _box(cell: Cell | None, clear: bool | None) -> Box:
    """A cell; ``clear`` tells of the fastest whether it is so beyond doubt, and is ``None`` for the others."""
    if cell is None:
        return Box("not run", kind=Kind.GAP, reason="it was not reached: the same command goes on")
    if cell.gap is not None:
        return Box(GAPS[cell.gap.status], kind=Kind.GAP, reason=cell.gap.message)
    assert cell.measured is not None  # a cell has numbers or a gap
    shown = milliseconds(cell.measured.p50)
    if cell.counts is None:
        return Box(f"✗ {shown}", "wrong logits" if cell.measured.parity is not None else "unchecked", Kind.WRONG, cell.why_not)
    kind = Kind.PLAIN if clear is None else Kind.BEST
    return Box(f"{shown} ✓" if clear else shown, _interval(cell.measured), kind, hover(cell.measured))


def _interval(numbers: Measured) -> str:
    return f"{milliseconds(numbers.low)} – {milliseconds(numbers.high)}"


def hover(numbers: Measured) -> str:
    """What stands behind a number: runs, parity, what disturbed it."""
    said = [f"{numbers.clean} of {numbers.runs} runs undisturbed"]
    if numbers.parity is not None:
        said.append(f"logits off by {100 * numbers.parity.relative:.2g} % of their spread")
    said += [finding.message for finding in numbers.findings]
    return "; ".join(said)
