"""The tables of one device, as both the page and the Markdown file print them: text cells that know what they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from efficient360.benchmark.board import DeviceBoard, costs, coverage
from efficient360.benchmark.cells import BenchmarkCell, CellNumbers, ModelFacts
from efficient360.benchmark.ranking import is_clear, ranking
from efficient360.benchmark.utilisation import family_utilisation, matched_pairs, matmul_peak
from efficient360.benchmark.zoo import Family
from efficient360.core.formatting import scaled, significant
from efficient360.core.measurement import Status
from efficient360.deployment.runtimes.runtime import Precision


class CellStyle(StrEnum):
    """What a box stands for."""

    PLAIN = "plain"
    BEST = "best"
    """The fastest valid result of its row."""
    WRONG = "wrong"
    """Measured, but the logits differ from the model's: excluded from every ranking."""
    GAP = "gap"
    """No number; the reason says why."""


@final
@dataclass(frozen=True)
class TableCell:
    """One box of a table.

    Args:
        text: What it shows.
        detail: A second, quieter line.
        kind: What it stands for.
        reason: Why it has no number or is excluded; shown on hover.
    """

    text: str
    detail: str = ""
    style: CellStyle = CellStyle.PLAIN
    reason: str = ""


@final
@dataclass(frozen=True)
class BenchmarkTable:
    """A table: the first box of a row is its head.

    Args:
        title: Its caption.
        note: How to read it.
        head: Column heads, the first over the row heads.
        rows: As many cells a row as there are heads.
    """

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[TableCell]]


MISSING = TableCell("–", style=CellStyle.GAP)


STATUS_TITLES = {Status.UNSUPPORTED: "not supported", Status.FAILED: "failed", Status.NOT_RUN: "not run"}
FAMILIES = {Family.VIT: "ViT", Family.HYBRID: "hybrid", Family.CNN: "CNN", Family.UNKNOWN: ""}


def latency_table(board: DeviceBoard) -> BenchmarkTable:
    """Median latency of a call in milliseconds with its 95 % interval, or why there is none."""
    note = "Median of a call in milliseconds, its 95 % interval below. The fastest runtime of a row at each precision is highlighted; ✓ marks a clear win."
    emulated = f"Not real hardware: {board.device.emulated}. " if board.device.emulated else ""
    head = ("Model", *(column(board, label) for label in board.labels))
    return BenchmarkTable(f"Latency on {board.name}", emulated + note, head, tuple(_row(board, model) for model in board.models))


def column(board: DeviceBoard, label: str) -> str:
    """A column's head: the runtime in its makers' words, with the precision where it is not fp32."""
    precision = label.partition(":")[2]
    return board.titles[label] if precision == Precision.FP32 else f"{board.titles[label]} {precision}"


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds to three digits, without the unit."""
    return significant(1e3 * seconds)


def _row(board: DeviceBoard, model: ModelFacts) -> tuple[TableCell, ...]:
    best: dict[str, bool] = {}
    for precision in Precision:
        ranked = ranking(board, model.name, precision)
        if len(ranked) > 1:
            best[ranked[0][0]] = is_clear(ranked)
    detail = ", ".join(part for part in (FAMILIES[model.family], "" if model.macs is None else scaled(model.macs, "MAC")) if part)
    return (TableCell(model.name, detail), *(_latency_cell(board.cells.get((model.name, label)), best.get(label)) for label in board.labels))


def _latency_cell(cell: BenchmarkCell | None, clear: bool | None) -> TableCell:
    """A cell; ``clear`` says whether the fastest of its row wins clearly, and is ``None`` for the others."""
    gap = None if cell is None else cell.gap
    if gap is not None:
        return TableCell(STATUS_TITLES[gap.status], style=CellStyle.GAP, reason=gap.message)
    if cell is None or cell.measured is None:
        return TableCell("not run", style=CellStyle.GAP, reason="not reached: the same command continues")
    shown = milliseconds(cell.measured.p50)
    if cell.rankable is None:
        return TableCell(f"✗ {shown}", "wrong logits" if cell.measured.parity is not None else "unchecked", CellStyle.WRONG, cell.exclusion_reason)
    style = CellStyle.PLAIN if clear is None else CellStyle.BEST
    return TableCell(f"{shown} ✓" if clear else shown, _interval(cell.measured), style, hover(cell.measured))


def _interval(numbers: CellNumbers) -> str:
    return f"{milliseconds(numbers.low)} – {milliseconds(numbers.high)}"


def hover(numbers: CellNumbers) -> str:
    """The details of a number: runs, parity, disturbances."""
    parts = [f"{numbers.clean} of {numbers.runs} runs undisturbed"]
    if numbers.parity is not None:
        parts.append(f"mean logit difference {100 * numbers.parity.relative:.2g} % of their spread")
    parts += [finding.message for finding in numbers.findings]
    return "; ".join(parts)


def utilisation_table(board: DeviceBoard) -> BenchmarkTable | None:
    """Achieved multiply-adds a second over the device's peak, by family and column."""
    top = matmul_peak(board)
    columns = [(label, shares) for label in board.labels if (shares := family_utilisation(board, label)) is not None]
    if top is None or not columns:
        return None
    rows = []
    for label, shares in columns:
        cells = [
            TableCell(f"{100 * shares.means[family]:.0f} %", f"{shares.models[family]} models") if family in shares.means else MISSING
            for family in Family
            if family is not Family.UNKNOWN
        ]
        rows.append((TableCell(column(board, label)), *cells, MISSING if shares.gap is None else TableCell(f"{shares.gap:.2f}×")))
    note = (
        f"Achieved multiply-adds a second (counted MACs over the median) as a share of {scaled(top.speed, 'MAC/s')}, the fastest at which {top.label} runs "
        "a stack of large matrix products here; geometric means. The last column: CNNs over ViTs and hybrids together; above 1, CNNs use the hardware better."
    )
    return BenchmarkTable(f"Utilisation of the peak on {board.name}", note, ("Runtime", "ViT", "Hybrid", "CNN", "CNN / others"), tuple(rows))


def matched_pairs_table(board: DeviceBoard) -> BenchmarkTable | None:
    """Each ViT and hybrid beside the CNN nearest in multiply-adds, each in its best runtime."""
    rows = [
        (
            TableCell(pair.model, FAMILIES[pair.family]),
            TableCell(scaled(pair.macs, "MAC")),
            TableCell(f"{100 * pair.used:.0f} %"),
            TableCell(pair.cnn),
            TableCell(scaled(pair.cnn_macs, "MAC")),
            TableCell(f"{100 * pair.cnn_used:.0f} %"),
            TableCell(f"{pair.cnn_used / pair.used:.2f}×"),
        )
        for pair in matched_pairs(board)
    ]
    if not rows:
        return None
    note = "Utilisation of the peak by each model in its own fastest runtime in fp32, beside the CNN nearest in MACs (within a factor of two)."
    head = ("Model", "MACs", "Utilisation", "Matched CNN", "CNN MACs", "CNN utilisation", "CNN / model")
    return BenchmarkTable(f"CNNs at matched MACs on {board.name}", note, head, tuple(rows))


def costs_table(board: DeviceBoard) -> BenchmarkTable:
    """Cold start, memory and size of each column, medians over models."""
    rows = []
    for label in board.labels:
        medians, share = costs(board, label), coverage(board, label)
        rows.append(
            (
                TableCell(column(board, label)),
                TableCell(f"{share.counted} of {share.cells}"),
                _seconds(medians.imports),
                _seconds(medians.load),
                _seconds(medians.first),
                MISSING if medians.start is None else TableCell(f"{medians.start:.0f}×"),
                _bytes(medians.memory),
                _bytes(medians.grown),
                MISSING if medians.artefact is None else TableCell(f"{medians.artefact:.2f}×"),
            )
        )
    note = (
        "Medians over the models with valid results, each in a fresh process: importing the runtime, loading the model, its first inference, and load plus "
        "first inference in steady-state inferences; peak memory of the process, and its growth after the import; artefact bytes over float32 parameter bytes."
    )
    head = ("Runtime", "Valid results", "Import", "Load", "First inference", "Cold / warm", "Peak memory", "After import", "Artefact size")
    return BenchmarkTable(f"Cold start, memory and size on {board.name}", note, head, tuple(rows))


def _seconds(value: float | None) -> TableCell:
    return MISSING if value is None else TableCell(scaled(value, "s"))


def _bytes(value: float | None) -> TableCell:
    return MISSING if value is None else TableCell(scaled(value, "B"))
