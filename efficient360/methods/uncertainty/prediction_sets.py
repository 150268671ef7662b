"""Prediction sets over many splits: how large they are and whether they hold the true class."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.methods.uncertainty.conformal_scores import Ranked, Score
from efficient360.methods.uncertainty.conformal_splits import Splits, rank_of, threshold

ROWS = 1024
"""Examples worked on at a time."""


@final
@dataclass(frozen=True)
class Answers:
    """What the sets are made of.

    Args:
        ranked: Classes of each example by probability.
        splits: Which examples calibrate.
        check: Called between steps of long work; may raise.
    """

    ranked: Ranked
    splits: Splits
    check: Callable[[], None]

    def __len__(self) -> int:
        return len(self.ranked.place)

    def scores(self, score: Score) -> Iterator[tuple[slice, Floats]]:
        """Scores of every class by rank ``(c, K)``, some examples at a time."""
        for start in range(0, len(self), ROWS):
            self.check()
            rows = slice(start, start + ROWS)
            yield rows, score.of(self.ranked.probability[rows], self.splits.chance[rows])


@final
@dataclass(frozen=True)
class Sets:
    """The sets of one score at one level.

    Args:
        alpha: Share of the true classes that may be missed.
        tested: Whether an example was tested, bool ``(n, S)``.
        sizes: Classes in each set, int64 ``(n, S)``; only those of tested examples count.
        covered: Whether the set holds the true class, bool ``(n, S)``; likewise.
        mean_sizes: Mean set sizes of resampled examples, ``(r,)``.
    """

    alpha: float
    tested: NDArray[np.bool_]
    sizes: NDArray[np.int64]
    covered: NDArray[np.bool_]
    mean_sizes: Floats

    @property
    def coverages(self) -> Floats:
        """Share of the tested examples whose set holds the true class, by split, ``(S,)``."""
        coverages: Floats = (self.covered & self.tested).sum(axis=0) / self.tested.sum(axis=0)
        return coverages

    @property
    def mean_size(self) -> float:
        """Mean set size over tested examples and splits."""
        return float(self.sizes[self.tested].mean())

    def share(self, of: NDArray[np.bool_]) -> Floats:
        """How often something held of each example when it was tested, ``(n,)``; examples that never were count 0."""
        times = self.tested.sum(axis=1)
        share: Floats = (of & self.tested).sum(axis=1) / np.maximum(times, 1)
        return share

    @property
    def ever(self) -> NDArray[np.bool_]:
        """Whether an example was ever tested, bool ``(n,)``."""
        ever: NDArray[np.bool_] = self.tested.sum(axis=1) > 0
        return ever


@final
@dataclass(frozen=True)
class Made:
    """What one score gives.

    Args:
        sets: The sets at each level asked for.
        curve: Mean set size at each level of ``levels``.
    """

    sets: tuple[Sets, ...]
    curve: Floats


def made(score: Score, answers: Answers, alphas: Sequence[float], levels: Sequence[float], weights: Floats) -> Made:
    """The sets of a score.

    The interval of a mean size comes from resampling all examples, ``weights`` times each: the threshold of the resample, and the mean size of its sets.

    Args:
        score: Which one.
        answers: Of which examples.
        alphas: Levels, each with examples enough to calibrate.
        levels: Further ones, whose mean size alone is wanted.
        weights: How often each example is drawn, ``(r, n)``.
    """
    n, tested, calibrating = len(answers), answers.splits.tested, answers.splits.calibrating
    true = np.concatenate([np.take_along_axis(found, answers.ranked.place[rows, None], axis=1)[:, 0] for rows, found in answers.scores(score)])
    every = [*alphas, *levels]
    cuts = np.array([[threshold(true[calibrating[:, s]], alpha) for alpha in every] for s in range(answers.splits.number)])  # (S, A)
    drawn = np.array([_resampled(true, weights, rank_of(answers.splits.size, alpha) / answers.splits.size) for alpha in alphas])  # (a, r)
    sought = np.concatenate([cuts.ravel(), drawn.ravel()])
    sizes = np.empty((n, answers.splits.number, len(alphas)), dtype=np.int64)
    along, means = np.zeros(len(levels)), np.zeros(drawn.shape)
    for rows, scores in answers.scores(score):
        found = _sizes(scores, sought)
        split, resampled = found[:, : cuts.size].reshape(-1, *cuts.shape), found[:, cuts.size :].reshape(-1, *drawn.shape)
        sizes[rows] = split[:, :, : len(alphas)]
        along += np.einsum("isl,is->l", split[:, :, len(alphas) :], tested[rows])
        means += np.einsum("iar,ri->ar", resampled, weights[:, rows], optimize=True)
    sets = tuple(Sets(alpha, tested, sizes[:, :, a], true[:, None] <= cuts[None, :, a], means[a] / n) for a, alpha in enumerate(alphas))
    return Made(sets, along / tested.sum())


def _resampled(true: Floats, weights: Floats, level: float) -> Floats:
    """Weighted quantile of the true classes' scores ``(n,)`` in each resample, ``(r,)``."""
    order = np.argsort(true, kind="stable")
    running = np.cumsum(weights[:, order], axis=1)
    wanted = np.ceil(min(level, 1.0) * len(true) - 1e-9)
    cuts: Floats = true[order][np.minimum((running < wanted).sum(axis=1), len(true) - 1)]
    return cuts


def _sizes(scores: Floats, cuts: Floats) -> NDArray[np.int64]:
    """How many scores of each rising row ``(c, K)`` do not exceed each cut ``(t,)``, ``(c, t)``."""
    return np.stack([np.searchsorted(row, cuts, side="right") for row in scores])
