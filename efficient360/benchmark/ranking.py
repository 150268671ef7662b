"""Which runtime is fastest and by how much; how rankings agree between devices, with multiply-adds, and from one pass to the next."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import gmean, spearmanr

from efficient360.benchmark.board import DeviceBoard
from efficient360.benchmark.cells import CellNumbers
from efficient360.deployment.runtimes.runtime import Precision

CLEAR = 1.10
"""A winner is clear when its interval ends below the runner-up's and the runner-up takes more than so many times as long."""


def ranking(board: DeviceBoard, model: str, precision: Precision) -> list[tuple[str, CellNumbers]]:
    """Columns of a precision with their numbers, fastest first; cells excluded from rankings are left out."""
    numbers_by_label = [(label, numbers) for label in board.labels_of(precision) if (numbers := board.rankable_numbers(model, label)) is not None]
    return sorted(numbers_by_label, key=lambda entry: entry[1].p50)


def is_clear(ranked: Sequence[tuple[str, CellNumbers]]) -> bool:
    """Whether the fastest wins clearly: its interval ends below the runner-up's, which takes over 10 % longer. False without a runner-up."""
    if len(ranked) < 2:
        return False
    best, second = ranked[0][1], ranked[1][1]
    return best.high < second.low and second.p50 / best.p50 > CLEAR


@final
@dataclass(frozen=True)
class Fragmentation:
    """How wins spread over runtimes.

    Args:
        models: Models with at least two runtimes in their ranking.
        wins: Wins by column, most first.
        clear: Clear wins by column.
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


def fragmentation(board: DeviceBoard, precision: Precision) -> Fragmentation | None:
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


def relative(board: DeviceBoard, label: str, base: str) -> Ratio | None:
    """How many times as fast a column is as another, over the models that both run; ``None`` where there are none."""
    ratios = []
    for model in board.models:
        ours, theirs = board.rankable_numbers(model.name, label), board.rankable_numbers(model.name, base)
        if ours is not None and theirs is not None:
            ratios.append(theirs.p50 / ours.p50)
    return Ratio(float(gmean(ratios)), min(ratios), max(ratios), len(ratios)) if ratios else None


def precision_gain(board: DeviceBoard, precision: Precision) -> dict[str, Ratio]:
    """By runtime, how many times as fast a precision is as fp32."""
    gains = {}
    for label in board.labels_of(precision):
        runtime = label.partition(":")[0]
        if (ratio := relative(board, label, f"{runtime}:{Precision.FP32}")) is not None:
            gains[runtime] = ratio
    return gains


FEWEST = 4
"""A rank correlation over fewer points says nothing."""


@final
@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation.

    Args:
        rho: In [-1, 1]; 1 where both put everything in the same order.
        points: How many points it rests on.
    """

    rho: float
    points: int


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> Correlation | None:
    """Spearman's rank correlation (Spearman 1904), ties by mean ranks; ``None`` over fewer than four points or where one side is constant."""
    if len(first) < FEWEST or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return Correlation(float(spearmanr(first, second).statistic), len(first))


@final
@dataclass(frozen=True)
class Agreement:
    """How alike two boards put models and runtimes in order.

    Args:
        by_runtime: Over models, by column; a column with too few is left out.
        overall: Over all cells that both have.
        same_best: Models whose fastest runtime in fp32 is the same, and the number of models with one on both.
    """

    by_runtime: dict[str, Correlation]
    overall: Correlation | None
    same_best: tuple[int, int]


def device_agreement(first: DeviceBoard, second: DeviceBoard) -> Agreement:
    """How alike two devices are."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for label in first.labels:
        for model in first.models:
            ours, theirs = first.rankable_numbers(model.name, label), second.rankable_numbers(model.name, label)
            if ours is not None and theirs is not None:
                pairs.setdefault(label, []).append((ours.p50, theirs.p50))
    every = [pair for values in pairs.values() for pair in values]
    by_runtime = {label: correlation for label, values in pairs.items() if (correlation := _paired_correlation(values)) is not None}
    best = [(_fastest(first, m.name), _fastest(second, m.name)) for m in first.models]
    both = [(ours, theirs) for ours, theirs in best if ours is not None and theirs is not None]
    return Agreement(by_runtime, _paired_correlation(every), (sum(ours == theirs for ours, theirs in both), len(both)))


def macs_and_latency(board: DeviceBoard, label: str) -> tuple[list[tuple[str, float, float]], Correlation | None]:
    """Model, multiply-adds of one image and seconds of one image in a column, with their rank correlation."""
    points = []
    for model in board.models:
        numbers = board.rankable_numbers(model.name, label)
        if numbers is not None and model.macs is not None:
            points.append((model.name, float(model.macs), numbers.p50 / board.batch))
    return points, rank_correlation([macs for _, macs, _ in points], [seconds for *_, seconds in points])


@final
@dataclass(frozen=True)
class Repeatability:
    """The first pass against a later one.

    Args:
        ranks: Rank correlation of p50 over all cells that both have.
        median: Median relative difference of p50, in absolute value.
        largest: Largest one.
        bias: Median relative difference with its sign: above 0 where the later pass was slower.
        cells: How many cells both have.
    """

    ranks: Correlation | None
    median: float
    largest: float
    bias: float
    cells: int


def repeatability(board: DeviceBoard) -> Repeatability | None:
    """How well p50 repeats from the first pass to the second; ``None`` without a second one."""
    if not board.again:
        return None
    pairs = []
    for place, cell in board.again[0].items():
        first, second = board.rankable_numbers(*place), cell.rankable
        if first is not None and second is not None:
            pairs.append((first.p50, second.p50))
    if not pairs:
        return None
    relative = np.array([second / first - 1 for first, second in pairs])
    size = np.abs(relative)
    return Repeatability(_paired_correlation(pairs), float(np.median(size)), float(size.max()), float(np.median(relative)), len(pairs))


def _paired_correlation(pairs: Sequence[tuple[float, float]]) -> Correlation | None:
    return rank_correlation([first for first, _ in pairs], [second for _, second in pairs])


def _fastest(board: DeviceBoard, model: str) -> str | None:
    times = {label: numbers.p50 for label in board.labels_of(Precision.FP32) if (numbers := board.rankable_numbers(model, label)) is not None}
    return min(times, key=times.__getitem__) if times else None
