"""Which runtime is best, as tables."""

from collections.abc import Sequence

from efficient360.benchmark.board import Board
from efficient360.benchmark.correlation import Agreement, between
from efficient360.benchmark.matrix_sheet import column
from efficient360.benchmark.ranking import Ratio, fragmentation, precision_gain, relative
from efficient360.benchmark.sheet import MISSING, Box, Sheet
from efficient360.deployment.runtimes.runtime import Precision

BASE = f"litert:{Precision.FP32}"


def best_sheet(boards: Sequence[Board]) -> Sheet | None:
    """How the first places spread over runtimes, by device, in fp32."""
    found = [(board, fragment) for board in boards if (fragment := fragmentation(board, Precision.FP32)) is not None]
    if not found:
        return None
    labels = list(dict.fromkeys(label for board, _ in found for label in board.labels_of(Precision.FP32)))
    rows = []
    for label in labels:
        boxes = []
        for _, fragment in found:
            regret = fragment.regret.get(label)
            wins, clear = fragment.wins.get(label, 0), fragment.clear.get(label, 0)
            detail = "never ran" if regret is None else f"{clear} clear; {regret[0]:.2f}× the best over {regret[1]}"
            boxes.append(Box(str(wins), detail))
        rows.append((Box(_title(boards, label)), *boxes))
    rows.append((Box("Clear winners"), *(Box(f"{sum(f.clear.values())} of {f.models}", f"{100 * f.clear_share:.0f} %") for _, f in found)))
    rows.append((Box("Second over fastest"), *(Box(f"{f.lead:.2f}×") for _, f in found)))
    rows.append((Box("Slowest over fastest"), *(Box(f"{f.spread:.1f}×") for _, f in found)))
    note = (
        "How many models each runtime runs fastest, in fp32. A win is clear when the intervals of the two fastest do not meet and the second takes over "
        "10 % longer. Below it, how many times as long as the best a runtime takes (geometric mean over the models that it runs): 1 would be best everywhere."
    )
    return Sheet("Is one runtime best everywhere?", note, ("Runtime", *(board.name for board, _ in found)), tuple(rows))


def relative_sheet(boards: Sequence[Board]) -> Sheet | None:
    """Speed of each column relative to LiteRT in fp32, by device."""
    labels = [label for label in dict.fromkeys(label for board in boards for label in board.labels) if label != BASE]
    rows = [(Box(_title(boards, label)), *(_ratio(relative(board, label, BASE)) for board in boards)) for label in labels]
    if not any(relative(board, label, BASE) for board in boards for label in labels):
        return None
    note = "Geometric mean over the models that both run, with the least and the most below; above 1 is faster than LiteRT in fp32."
    return Sheet("Speed relative to LiteRT", note, ("Runtime", *(board.name for board in boards)), tuple(rows))


def precision_sheet(boards: Sequence[Board]) -> Sheet | None:
    """How many times as fast each lower precision is as fp32 in the same runtime."""
    rows = []
    for precision in [p for p in Precision if p is not Precision.FP32]:
        gains = [precision_gain(board, precision) for board in boards]
        for runtime in dict.fromkeys(name for gain in gains for name in gain):
            rows.append((Box(_title(boards, f"{runtime}:{precision}")), *(_ratio(gain.get(runtime)) for gain in gains)))
    if not rows:
        return None
    note = "How many times as fast as fp32 in the same runtime, over the models whose answers pass at both precisions; least and most below."
    return Sheet("What lower precision gains", note, ("Runtime", *(board.name for board in boards)), tuple(rows))


def agreement_sheet(boards: Sequence[Board]) -> Sheet | None:
    """Whether two devices put models and runtimes in the same order."""
    compared = [(one, other, between(one, other)) for i, one in enumerate(boards) for other in boards[i + 1 :]]
    if not compared:
        return None
    labels = list(dict.fromkeys(label for board in boards for label in board.labels))
    rows: list[tuple[Box, ...]] = [(Box("All cells"), *(_rho(found) for *_, found in compared))]
    rows += [(Box(_title(boards, label)), *(_rho_of(found, label) for *_, found in compared)) for label in labels]
    rows.append((Box("Same fastest runtime"), *(Box(f"{found.same_best[0]} of {found.same_best[1]}", "models, fp32") for *_, found in compared)))
    note = "Spearman's rank correlation of latency over the cells that both devices have, and over the models in each runtime. 1 is the same order."
    return Sheet("Do devices agree?", note, ("", *(f"{one.name} and {other.name}" for one, other, _ in compared)), tuple(rows))


def _rho(found: Agreement) -> Box:
    return MISSING if found.overall is None else Box(f"{found.overall.rho:.3f}", f"{found.overall.points} cells")


def _rho_of(found: Agreement, label: str) -> Box:
    rho = found.by_runtime.get(label)
    return MISSING if rho is None else Box(f"{rho.rho:.3f}", f"{rho.points} models")


def _ratio(ratio: Ratio | None) -> Box:
    return MISSING if ratio is None else Box(f"{ratio.mean:.2f}×", f"{ratio.low:.2f} – {ratio.high:.2f}, {ratio.models} model{'s' * (ratio.models != 1)}")


def _title(boards: Sequence[Board], label: str) -> str:
    board = next(board for board in boards if label in board.titles)
    return column(board, label)
