"""The tables over all devices: which runtime is fastest, what lower precision gains, whether devices agree, coverage and repeatability."""

from collections.abc import Sequence

from efficient360.benchmark.board import DeviceBoard, coverage
from efficient360.benchmark.ranking import Agreement, Ratio, device_agreement, fragmentation, precision_gain, relative, repeatability
from efficient360.benchmark.tables import MISSING, BenchmarkTable, TableCell, column
from efficient360.deployment.runtimes.runtime import Precision

BASE = f"litert:{Precision.FP32}"


def fastest_runtime_table(boards: Sequence[DeviceBoard]) -> BenchmarkTable | None:
    """How the first places spread over runtimes, by device, in fp32."""
    fragmented = [(board, fragment) for board in boards if (fragment := fragmentation(board, Precision.FP32)) is not None]
    if not fragmented:
        return None
    labels = list(dict.fromkeys(label for board, _ in fragmented for label in board.labels_of(Precision.FP32)))
    rows = []
    for label in labels:
        cells = []
        for _, fragment in fragmented:
            regret = fragment.regret.get(label)
            wins, clear = fragment.wins.get(label, 0), fragment.clear.get(label, 0)
            detail = "never ran" if regret is None else f"{clear} clear; {regret[0]:.2f}× the fastest, {regret[1]} models"
            cells.append(TableCell(str(wins), detail))
        rows.append((TableCell(_title(boards, label)), *cells))
    rows.append((TableCell("Clear winners"), *(TableCell(f"{sum(f.clear.values())} of {f.models}", f"{100 * f.clear_share:.0f} %") for _, f in fragmented)))
    rows.append((TableCell("Second / fastest"), *(TableCell(f"{f.lead:.2f}×") for _, f in fragmented)))
    rows.append((TableCell("Slowest / fastest"), *(TableCell(f"{f.spread:.1f}×") for _, f in fragmented)))
    note = (
        "Number of models for which each runtime is fastest in fp32. A win is clear when the 95 % intervals of the two fastest do not overlap and the "
        "second takes over 10 % longer. Below: latency over that of the fastest runtime (geometric mean over the models it runs); 1 is fastest everywhere."
    )
    return BenchmarkTable("Is one runtime fastest everywhere?", note, ("Runtime", *(board.name for board, _ in fragmented)), tuple(rows))


def relative_speed_table(boards: Sequence[DeviceBoard]) -> BenchmarkTable | None:
    """Speed of each column relative to LiteRT in fp32, by device."""
    labels = [label for label in dict.fromkeys(label for board in boards for label in board.labels) if label != BASE]
    rows = [(TableCell(_title(boards, label)), *(_ratio(relative(board, label, BASE)) for board in boards)) for label in labels]
    if not any(relative(board, label, BASE) for board in boards for label in labels):
        return None
    note = "Geometric mean over the models that both run, minimum and maximum below; above 1 is faster than LiteRT in fp32."
    return BenchmarkTable("Speed relative to LiteRT", note, ("Runtime", *(board.name for board in boards)), tuple(rows))


def precision_gain_table(boards: Sequence[DeviceBoard]) -> BenchmarkTable | None:
    """How many times as fast each lower precision is as fp32 in the same runtime."""
    rows = []
    for precision in [p for p in Precision if p is not Precision.FP32]:
        gains = [precision_gain(board, precision) for board in boards]
        for runtime in dict.fromkeys(name for gain in gains for name in gain):
            rows.append((TableCell(_title(boards, f"{runtime}:{precision}")), *(_ratio(gain.get(runtime)) for gain in gains)))
    if not rows:
        return None
    note = "Speed-up over fp32 in the same runtime (geometric mean), over the models that pass the parity check at both precisions; minimum and maximum below."
    return BenchmarkTable("Speed-up from lower precision", note, ("Runtime", *(board.name for board in boards)), tuple(rows))


def device_agreement_table(boards: Sequence[DeviceBoard]) -> BenchmarkTable | None:
    """Whether two devices put models and runtimes in the same order."""
    compared = [(first, second, device_agreement(first, second)) for i, first in enumerate(boards) for second in boards[i + 1 :]]
    if not compared:
        return None
    labels = list(dict.fromkeys(label for board in boards for label in board.labels))
    rows: list[tuple[TableCell, ...]] = [(TableCell("All cells"), *(_rho(agreement) for *_, agreement in compared))]
    rows += [(TableCell(_title(boards, label)), *(_rho_of(agreement, label) for *_, agreement in compared)) for label in labels]
    rows.append(
        (TableCell("Same fastest runtime"), *(TableCell(f"{agreement.same_best[0]} of {agreement.same_best[1]}", "models, fp32") for *_, agreement in compared))
    )
    note = "Spearman's rank correlation of latency over all cells measured on both devices, and over the models in each runtime; 1 is the same order."
    return BenchmarkTable("Rank correlation between devices", note, ("", *(f"{first.name} and {second.name}" for first, second, _ in compared)), tuple(rows))


def _rho(agreement: Agreement) -> TableCell:
    return MISSING if agreement.overall is None else TableCell(f"{agreement.overall.rho:.3f}", f"{agreement.overall.points} cells")


def _rho_of(agreement: Agreement, label: str) -> TableCell:
    correlation = agreement.by_runtime.get(label)
    return MISSING if correlation is None else TableCell(f"{correlation.rho:.3f}", f"{correlation.points} models")


def _ratio(ratio: Ratio | None) -> TableCell:
    return MISSING if ratio is None else TableCell(f"{ratio.mean:.2f}×", f"{ratio.low:.2f} – {ratio.high:.2f}, {ratio.models} model{'s' * (ratio.models != 1)}")


def _title(boards: Sequence[DeviceBoard], label: str) -> str:
    board = next(board for board in boards if label in board.titles)
    return column(board, label)


def coverage_table(boards: Sequence[DeviceBoard]) -> BenchmarkTable:
    """How many cells have a latency, and how many of them count."""
    rows = []
    for board in boards:
        whole = coverage(board)
        rows.append(
            (
                TableCell(board.name, "emulated" if board.device.emulated else ""),
                TableCell(str(whole.cells)),
                TableCell(str(whole.measured), f"{100 * whole.measured / max(whole.cells, 1):.0f} %"),
                TableCell(str(whole.counted), f"{100 * whole.counted / max(whole.cells, 1):.0f} %"),
            )
        )
    return BenchmarkTable("Coverage", "Cells with a latency, and those that also pass the parity check.", ("Device", "Cells", "Measured", "Valid"), tuple(rows))


def repeatability_table(boards: Sequence[DeviceBoard]) -> BenchmarkTable | None:
    """The first pass against the second."""
    rows = []
    for board in boards:
        if (repeated := repeatability(board)) is not None:
            rho = MISSING if repeated.ranks is None else TableCell(f"{repeated.ranks.rho:.4f}")
            rows.append(
                (
                    TableCell(board.name),
                    TableCell(str(repeated.cells)),
                    rho,
                    TableCell(f"{100 * repeated.median:.1f} %"),
                    TableCell(f"{100 * repeated.largest:.1f} %"),
                    TableCell(f"{100 * repeated.bias:+.1f} %".replace("-", "−")),
                )
            )
    if not rows:
        return None
    note = "p50 of the second pass against the first: rank correlation (Spearman), relative differences (median and largest in size, then median with sign)."
    return BenchmarkTable("Repeatability", note, ("Device", "Cells in both passes", "Rank correlation", "Median difference", "Largest", "Drift"), tuple(rows))
