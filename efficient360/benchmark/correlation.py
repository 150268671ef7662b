"""What goes with what: devices with each other, multiply-adds with latency, one pass with the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import spearmanr

from efficient360.benchmark.board import Board
from efficient360.deployment.runtimes.runtime import Precision

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


def between(first: Board, second: Board) -> Agreement:
    """How alike two devices are."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for label in first.labels:
        for model in first.models:
            one, other = first.counted(model.name, label), second.counted(model.name, label)
            if one is not None and other is not None:
                pairs.setdefault(label, []).append((one.p50, other.p50))
    every = [pair for some in pairs.values() for pair in some]
    by_runtime = {label: found for label, some in pairs.items() if (found := _of(some)) is not None}
    best = [(_best(first, m.name), _best(second, m.name)) for m in first.models]
    both = [(one, other) for one, other in best if one is not None and other is not None]
    return Agreement(by_runtime, _of(every), (sum(one == other for one, other in both), len(both)))


def macs_and_latency(board: Board, label: str) -> tuple[list[tuple[str, float, float]], Correlation | None]:
    """Model, multiply-adds of one image and seconds of one image in a column, with their rank correlation."""
    points = []
    for model in board.models:
        numbers = board.counted(model.name, label)
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


def repeatability(board: Board) -> Repeatability | None:
    """How well p50 repeats from the first pass to the second; ``None`` without a second one."""
    if not board.again:
        return None
    pairs = []
    for place, cell in board.again[0].items():
        first, second = board.counted(*place), cell.counts
        if first is not None and second is not None:
            pairs.append((first.p50, second.p50))
    if not pairs:
        return None
    relative = np.array([second / first - 1 for first, second in pairs])
    size = np.abs(relative)
    return Repeatability(_of(pairs), float(np.median(size)), float(size.max()), float(np.median(relative)), len(pairs))


def _of(pairs: Sequence[tuple[float, float]]) -> Correlation | None:
    return rank_correlation([one for one, _ in pairs], [other for _, other in pairs])


def _best(board: Board, model: str) -> str | None:
    found = {label: numbers.p50 for label in board.labels_of(Precision.FP32) if (numbers := board.counted(model, label)) is not None}
    return min(found, key=found.__getitem__) if found else None
