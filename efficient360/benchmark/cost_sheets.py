"""Hardware use, start-up, memory, size, coverage and repeats, as tables."""

from collections.abc import Sequence

from efficient360.benchmark.board import Board
from efficient360.benchmark.correlation import repeatability
from efficient360.benchmark.matrix_sheet import FAMILIES, column
from efficient360.benchmark.overview import costs, coverage
from efficient360.benchmark.sheet import MISSING, Box, Sheet
from efficient360.benchmark.utilisation import families, pairs, peak
from efficient360.benchmark.zoo import Family
from efficient360.core.formatting import scaled


def utilisation_sheet(board: Board) -> Sheet | None:
    """Achieved multiply-adds a second over the device's peak, by family and column."""
    top = peak(board)
    found = [(label, shares) for label in board.labels if (shares := families(board, label)) is not None]
    if top is None or not found:
        return None
    rows = []
    for label, shares in found:
        boxes = [
            Box(f"{100 * shares.means[family]:.0f} %", f"{shares.models[family]} models") if family in shares.means else MISSING
            for family in Family
            if family is not Family.UNKNOWN
        ]
        rows.append((Box(column(board, label)), *boxes, MISSING if shares.gap is None else Box(f"{shares.gap:.2f}×")))
    note = (
        f"Achieved multiply-adds a second (counted MACs over the median) as a share of {scaled(top.speed, 'MAC/s')}, the fastest that {top.label} runs a stack "
        "of large matrix products here; geometric means. The last column sets CNNs against ViTs and hybrids together: above 1 CNNs use the hardware better."
    )
    return Sheet(f"Share of the peak on {board.name}", note, ("Runtime", "ViT", "Hybrid", "CNN", "CNN over the others"), tuple(rows))


def pairs_sheet(board: Board) -> Sheet | None:
    """Each ViT and hybrid beside the CNN nearest in multiply-adds, each in its best runtime."""
    rows = [
        (
            Box(pair.model, FAMILIES[pair.family]),
            Box(scaled(pair.macs, "MAC")),
            Box(f"{100 * pair.used:.0f} %"),
            Box(pair.cnn),
            Box(scaled(pair.cnn_macs, "MAC")),
            Box(f"{100 * pair.cnn_used:.0f} %"),
            Box(f"{pair.cnn_used / pair.used:.2f}×"),
        )
        for pair in pairs(board)
    ]
    if not rows:
        return None
    note = "Share of the peak that each reaches in its own fastest runtime in fp32, beside the CNN whose MACs are nearest, a factor of two at most."
    head = ("Model", "MACs", "Share of the peak", "CNN beside it", "Its MACs", "Its share", "CNN over model")
    return Sheet(f"At like multiply-adds on {board.name}", note, head, tuple(rows))


def costs_sheet(board: Board) -> Sheet:
    """Cold start, memory and size of each column, medians over models."""
    rows = []
    for label in board.labels:
        of, share = costs(board, label), coverage(board, label)
        rows.append(
            (
                Box(column(board, label)),
                Box(f"{share.counted} of {share.cells}"),
                _seconds(of.imports),
                _seconds(of.load),
                _seconds(of.first),
                MISSING if of.start is None else Box(f"{of.start:.0f}×"),
                _bytes(of.memory),
                _bytes(of.grown),
                MISSING if of.artefact is None else Box(f"{of.artefact:.2f}×"),
            )
        )
    note = (
        "Medians over the models whose answers are right, in a fresh process each: importing the runtime, loading the model, its first inference, and how many "
        "steady inferences the last two cost; most memory of the process, and what of it came after the import; artefact bytes over those of the parameters."
    )
    head = ("Runtime", "Models right", "Import", "Load", "First", "Cold over warm", "Memory", "Without import", "Artefact")
    return Sheet(f"Beside the latency on {board.name}", note, head, tuple(rows))


def coverage_sheet(boards: Sequence[Board]) -> Sheet:
    """How many cells have a latency, and how many of them count."""
    rows = []
    for board in boards:
        whole = coverage(board)
        rows.append(
            (
                Box(board.name, "emulated" if board.device.emulated else ""),
                Box(str(whole.cells)),
                Box(str(whole.measured), f"{100 * whole.measured / max(whole.cells, 1):.0f} %"),
                Box(str(whole.counted), f"{100 * whole.counted / max(whole.cells, 1):.0f} %"),
            )
        )
    return Sheet("Coverage", "Cells with a latency, and those whose logits are the model's too.", ("Device", "Cells", "Measured", "Right as well"), tuple(rows))


def repeat_sheet(boards: Sequence[Board]) -> Sheet | None:
    """The first pass against the second."""
    rows = []
    for board in boards:
        if (found := repeatability(board)) is not None:
            rho = MISSING if found.ranks is None else Box(f"{found.ranks.rho:.4f}")
            rows.append(
                (
                    Box(board.name),
                    Box(str(found.cells)),
                    rho,
                    Box(f"{100 * found.median:.1f} %"),
                    Box(f"{100 * found.largest:.1f} %"),
                    Box(f"{100 * found.bias:+.1f} %".replace("-", "−")),
                )
            )
    if not rows:
        return None
    note = "p50 of the second pass against the first: rank correlation (Spearman), relative differences (median and largest in size, then median with sign)."
    return Sheet("How well it repeats", note, ("Device", "Cells in both", "Rank correlation", "Median difference", "Largest", "Drift"), tuple(rows))


def _seconds(value: float | None) -> Box:
    return MISSING if value is None else Box(scaled(value, "s"))


def _bytes(value: float | None) -> Box:
    return MISSING if value is None else Box(scaled(value, "B"))
