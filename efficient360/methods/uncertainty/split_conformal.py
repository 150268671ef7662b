"""Split conformal prediction over many random splits: calibration thresholds, prediction sets, and their coverage."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.core.arrays import Floats
from efficient360.core.seeding import generators
from efficient360.methods.uncertainty.conformal_scores import NonconformityScore, RankedClasses

ROWS = 1024
"""Examples processed at a time."""


@final
@dataclass(frozen=True)
class CalibrationSplits:
    """Random splits of ``n`` examples into a calibration and a test part.

    Args:
        calibration: Whether an example is in the calibration part, bool ``(n, S)``.
        uniform: A uniform random number in [0, 1) for each example, ``(n,)``, for randomised scores.
    """

    calibration: NDArray[np.bool_]
    uniform: Floats

    @property
    def test(self) -> NDArray[np.bool_]:
        """Whether an example is in the test part, bool ``(n, S)``."""
        return ~self.calibration

    @property
    def count(self) -> int:
        """Number of splits ``S``."""
        return int(self.calibration.shape[1])

    @property
    def calibration_size(self) -> int:
        """Examples in the calibration part, the same in every split."""
        return int(np.count_nonzero(self.calibration[:, 0]))


def draw_splits(ids: Sequence[str], count: int, share: float, seed: int) -> CalibrationSplits:
    """Draw splits that depend on the seed and the ids, not on the order of examples.

    They are not stratified: coverage follows its distribution only where every example is equally likely to be in the calibration part.

    Args:
        ids: Of the examples, at least 2.
        count: Number of splits.
        share: Share of the examples in the calibration part; at least one example is in either part.
        seed: Same seed, same splits.
    """
    drawn = np.stack([generator.random(1 + count) for generator in generators("conformal", ids, seed)])
    size = min(max(1, round(share * len(ids))), len(ids) - 1)
    rank = np.argsort(np.argsort(drawn[:, 1:], axis=0, kind="stable"), axis=0, kind="stable")
    return CalibrationSplits(rank < size, drawn[:, 0])


def threshold_rank(n: int, alpha: float) -> int:
    """``⌈(n + 1)(1 − α)⌉``: the rank of the threshold among ``n`` ordered calibration scores; ``n + 1`` where there are too few for a finite threshold.

    Vovk, Gammerman & Shafer 2005; the finite-sample quantile of Angelopoulos & Bates 2023.
    """
    # Written so that rounding of (n + 1) α, when it is a whole number, changes nothing.
    return n + 1 - math.floor((n + 1) * alpha + 1e-9)


def conformal_threshold(scores: Floats, alpha: float) -> float:
    """The threshold of calibration scores ``(n,)``: a class whose score does not exceed it is in the set. Infinite where there are too few."""
    rank = threshold_rank(len(scores), alpha)
    return math.inf if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])


def coverage_distribution(calibration_size: int, test_size: int, alpha: float) -> Any:
    """Distribution of the number of covered test examples in a split, for exchangeable examples without tied scores.

    Coverage given the calibration part is Beta(k, n + 1 − k) with ``k`` of :func:`threshold_rank` (Vovk 2012), so the count is beta-binomial.
    """
    rank = threshold_rank(calibration_size, alpha)
    return stats.betabinom(test_size, rank, calibration_size + 1 - rank)


@final
@dataclass(frozen=True)
class ConformalInputs:
    """What prediction sets are built from.

    Args:
        ranked: Classes of each example by probability.
        splits: Calibration and test parts.
        check: Called between steps of long work; may raise.
    """

    ranked: RankedClasses
    splits: CalibrationSplits
    check: Callable[[], None]

    def __len__(self) -> int:
        return len(self.ranked.true_rank)

    def scores(self, score: NonconformityScore) -> Iterator[tuple[slice, Floats]]:
        """Scores of every class by rank ``(c, K)``, some examples at a time."""
        for start in range(0, len(self), ROWS):
            self.check()
            rows = slice(start, start + ROWS)
            yield rows, score.scores(self.ranked.probability[rows], self.splits.uniform[rows])


@final
@dataclass(frozen=True)
class PredictionSets:
    """The prediction sets of one score at one level.

    Args:
        alpha: Nominal miscoverage.
        tested: Whether an example was in the test part, bool ``(n, S)``.
        sizes: Classes in each set, int64 ``(n, S)``; only those of tested examples count.
        covered: Whether the set contains the true class, bool ``(n, S)``; likewise.
        mean_sizes: Mean set sizes of bootstrap resamples, ``(r,)``.
    """

    alpha: float
    tested: NDArray[np.bool_]
    sizes: NDArray[np.int64]
    covered: NDArray[np.bool_]
    mean_sizes: Floats

    @property
    def coverages(self) -> Floats:
        """Empirical coverage by split, ``(S,)``."""
        coverages: Floats = (self.covered & self.tested).sum(axis=0) / self.tested.sum(axis=0)
        return coverages

    @property
    def mean_size(self) -> float:
        """Mean set size over tested examples and splits."""
        return float(self.sizes[self.tested].mean())

    def rate_when_tested(self, condition: NDArray[np.bool_]) -> Floats:
        """Share of the splits that tested an example in which ``condition``, bool ``(n, S)``, held, ``(n,)``; 0 for examples that were never tested."""
        times = self.tested.sum(axis=1)
        rate: Floats = (condition & self.tested).sum(axis=1) / np.maximum(times, 1)
        return rate

    @property
    def ever_tested(self) -> NDArray[np.bool_]:
        """Whether an example was tested in any split, bool ``(n,)``."""
        ever: NDArray[np.bool_] = self.tested.sum(axis=1) > 0
        return ever


@final
@dataclass(frozen=True)
class ConformalResult:
    """Prediction sets of one score.

    Args:
        sets: The sets at each alpha.
        size_curve: Mean set size at each further level.
    """

    sets: tuple[PredictionSets, ...]
    size_curve: Floats


def build_prediction_sets(
    score: NonconformityScore, inputs: ConformalInputs, alphas: Sequence[float], levels: Sequence[float], weights: Floats
) -> ConformalResult:
    """The prediction sets of a score over all splits.

    The interval of the mean size comes from resampling all examples: the threshold of each resample, and the mean size of its sets.

    Args:
        score: The nonconformity score.
        inputs: Examples and splits.
        alphas: Nominal miscoverages, each with enough calibration examples.
        levels: Further miscoverages, for which only the mean size is computed.
        weights: How often each example is drawn, ``(r, n)``.
    """
    n, tested, calibration = len(inputs), inputs.splits.test, inputs.splits.calibration
    true = np.concatenate([np.take_along_axis(scores, inputs.ranked.true_rank[rows, None], axis=1)[:, 0] for rows, scores in inputs.scores(score)])
    all_levels = [*alphas, *levels]
    thresholds = np.array([[conformal_threshold(true[calibration[:, s]], alpha) for alpha in all_levels] for s in range(inputs.splits.count)])  # (S, A)
    size = inputs.splits.calibration_size
    resampled_thresholds = np.array([_weighted_quantile(true, weights, threshold_rank(size, alpha) / size) for alpha in alphas])  # (a, r)
    every_threshold = np.concatenate([thresholds.ravel(), resampled_thresholds.ravel()])
    sizes = np.empty((n, inputs.splits.count, len(alphas)), dtype=np.int64)
    curve_sums, mean_sums = np.zeros(len(levels)), np.zeros(resampled_thresholds.shape)
    for rows, scores in inputs.scores(score):
        counts = _count_up_to(scores, every_threshold)
        by_split = counts[:, : thresholds.size].reshape(-1, *thresholds.shape)
        by_resample = counts[:, thresholds.size :].reshape(-1, *resampled_thresholds.shape)
        sizes[rows] = by_split[:, :, : len(alphas)]
        curve_sums += np.einsum("isl,is->l", by_split[:, :, len(alphas) :], tested[rows])
        mean_sums += np.einsum("iar,ri->ar", by_resample, weights[:, rows], optimize=True)
    sets = tuple(PredictionSets(alpha, tested, sizes[:, :, a], true[:, None] <= thresholds[None, :, a], mean_sums[a] / n) for a, alpha in enumerate(alphas))
    return ConformalResult(sets, curve_sums / tested.sum())


def _weighted_quantile(true: Floats, weights: Floats, level: float) -> Floats:
    """Weighted quantile of the true classes' scores ``(n,)`` in each resample, ``(r,)``."""
    order = np.argsort(true, kind="stable")
    cumulative = np.cumsum(weights[:, order], axis=1)
    target = np.ceil(min(level, 1.0) * len(true) - 1e-9)
    quantiles: Floats = true[order][np.minimum((cumulative < target).sum(axis=1), len(true) - 1)]
    return quantiles


def _count_up_to(scores: Floats, thresholds: Floats) -> NDArray[np.int64]:
    """How many scores of each increasing row ``(c, K)`` do not exceed each threshold ``(t,)``, ``(c, t)``."""
    return np.stack([np.searchsorted(row, thresholds, side="right") for row in scores])
