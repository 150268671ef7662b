"""Which runtime is best, by how much, and whether one is best everywhere."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from scipy.stats import gmean

from efficient360.benchmark.board import Board
from efficient360.benchmark.cells import Measured
from efficient360.deployment.runtimes.runtime import Precision

CLEAR = 1.10
"""A winner is clear when its interval ends below the runner-up's and the runner-up takes more than so many times as long."""


def ranking(board: Board, model: str, precision: Precision) -> list[tuple[str, Measured]]:
    """Columns of a precision with their numbers, fastest first; cells that don't count are left out."""
    found = [(label, numbers) for label in board.labels_of(precision) if (numbers := board.counted(model, label)) is not None]
    return sorted(found, key=lambda one: one[1].p50)


def is_clear(ranked: Sequence[tuple[str, Measured]]) -> bool:
    """Whether the fastest is so beyond doubt: its interval is separated from the runner-up's, which takes over 10 % longer. False without a runner-up."""
    if len(ranked) < 2:
        return False
    best, second = ranked[0][1], ranked[1][1]
    return best.high < second.low and second.p50 / best.p50 > CLEAR


@final
@dataclass(frozen=True)
class Fragmentation:
    """How the first places spread over runtimes.

    Args:
        models: Models with at least two runtimes in their ranking.
        wins: First places by column, most first.
        clear: Of those the clear ones, by column.
        spread: Geometric mean over models of the slowest over the fastest runtime.
        lead: Geometric mean over models of the second over the fastest.
        regret: By column: geometric mean over the models it runs of its time over the fastest runtime's; 1 is best everywhere. With the number of models.
    """

    models: int
    wins: Mapping[str, int]
    clear: Mapping[str, int]
    spread: float
    lead: float
    regret: Mapping[str, tuple[float, int]]

    @property
    def clear_share(self) -> float:
        """Share of models with a clear winner, in [0, 1]."""
        return sum(self.clear.values()) / self.models


def fragmentation(board: Board, precision: Precision) -> Fragmentation | None:
    """First places on a board; ``None`` where no model has two runtimes to choose from."""
    rankings = [ranked for model in board.models if len(ranked := ranking(board, model.name, precision)) > 1]
    if not rankings:
        return None
    wins = Counter(ranked[0][0] for ranked in rankings)
    regrets: dict[str, list[float]] = {}
    for ranked in rankings:
        for label, numbers in ranked:
            regrets.setdefault(label, []).append(numbers.p50 / ranked[0][1].p50)
    return Fragmentation(
        models=len(rankings),
        wins=dict(wins.most_common()),
        clear=dict(Counter(ranked[0][0] for ranked in rankings if is_clear(ranked))),
        spread=float(gmean([ranked[-1][1].p50 / ranked[0][1].p50 for ranked in rankings])),
        lead=float(gmean([ranked[1][1].p50 / ranked[0][1].p50 for ranked in rankings])),
        regret={label: (float(gmean(values)), len(values)) for label, values in regrets.items()},
    )


@final
@dataclass(frozen=True)
class Ratio:
    """How many times as fast as something else, over models.

    Args:
        mean: Geometric mean; above 1 is faster.
        low: Least.
        high: Most.
        models: How many models have both numbers.
    """

    mean: float
    low: float
    high: float
    models: int


def relative(board: Board, label: str, base: str) -> Ratio | None:
    """How many times as fast a column is as another, over the models that both run; ``None`` where there are none."""
    found = []
    for model in board.models:
        ours, theirs = board.counted(model.name, label), board.counted(model.name, base)
        if ours is not None and theirs is not None:
            found.append(theirs.p50 / ours.p50)
    return Ratio(float(gmean(found)), min(found), max(found), len(found)) if found else None


def precision_gain(board: Board, precision: Precision) -> dict[str, Ratio]:
    """By runtime, how many times as fast a precision is as fp32."""
    found = {}
    for label in board.labels_of(precision):
        runtime = label.partition(":")[0]
        if (ratio := relative(board, label, f"{runtime}:{Precision.FP32}")) is not None:
            found[runtime] = ratio
    return found
