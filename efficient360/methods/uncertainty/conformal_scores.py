"""Nonconformity scores: THR (LAC), APS and RAPS. All three increase down the class ranking, so a prediction set is always a top-k set."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats

ROWS = 4096
"""Examples processed at a time."""


@final
@dataclass(frozen=True)
class RankedClasses:
    """Classes of ``n`` examples by probability.

    Args:
        probability: Probabilities in descending order, float64 ``(n, K)``.
        true_rank: Rank of the true class in that order, 0 for the most probable, int64 ``(n,)``.
    """

    probability: Floats
    true_rank: NDArray[np.int64]


def rank_classes(logits: NDArray[Any], labels: NDArray[np.int64]) -> RankedClasses:
    """Rank the classes of logits ``(n, K)`` in descending order, the lower index first among ties, with the ranks of the labels ``(n,)``."""
    probability, true_rank = np.empty(logits.shape), np.empty(len(labels), dtype=np.int64)
    for start in range(0, len(labels), ROWS):
        rows = slice(start, start + ROWS)
        block = logits[rows].astype(np.float64)
        order = np.argsort(-block, axis=1, kind="stable")
        descending = np.take_along_axis(block, order, axis=1)
        exponential = np.exp(descending - descending[:, :1])
        probability[rows] = exponential / exponential.sum(axis=1, keepdims=True)
        true_rank[rows] = (order == labels[rows, None]).argmax(axis=1)
    return RankedClasses(probability, true_rank)


class NonconformityScore(ABC):
    """A nonconformity score."""

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def scores(self, probability: Floats, uniform: Floats) -> Floats:
        """Score of every class by rank, ``(n, K)``, increasing along a row.

        Args:
            probability: In descending order, ``(n, K)``.
            uniform: A uniform random number in [0, 1) for each example, ``(n,)``.
        """


@final
@dataclass(frozen=True)
class ThresholdScore(NonconformityScore):
    """Least ambiguous set-valued classifier: every class above a probability threshold (Sadinle, Lei & Wasserman 2019; THR, also called LAC)."""

    name: ClassVar[str] = "thr"
    title: ClassVar[str] = "THR"

    def scores(self, probability: Floats, uniform: Floats) -> Floats:
        """One minus the probability."""
        return 1.0 - probability


@final
@dataclass(frozen=True)
class AdaptiveScore(NonconformityScore):
    """Adaptive prediction sets: the most probable classes until their cumulative probability suffices, randomised at the last (Romano et al. 2020, APS)."""

    name: ClassVar[str] = "aps"
    title: ClassVar[str] = "APS"

    def scores(self, probability: Floats, uniform: Floats) -> Floats:
        """Cumulative probability of all more probable classes and ``1 − u`` of its own; ``1 − u`` is as uniform as the paper's ``u``."""
        scores: Floats = np.cumsum(probability, axis=1) - uniform[:, None] * probability
        return scores


@final
@dataclass(frozen=True)
class RegularizedScore(NonconformityScore):
    """Regularized adaptive prediction sets: APS with a penalty on every rank beyond the first few (Angelopoulos et al. 2021, RAPS).

    Args:
        penalty: λ of the paper, added for each rank beyond ``free``, non-negative.
        free: k_reg of the paper, ranks without a penalty, non-negative.
    """

    name: ClassVar[str] = "raps"
    title: ClassVar[str] = "RAPS"
    penalty: float
    free: int

    def scores(self, probability: Floats, uniform: Floats) -> Floats:
        """The APS score plus the penalty."""
        rank = np.arange(1, probability.shape[1] + 1)
        scores: Floats = AdaptiveScore().scores(probability, uniform) + self.penalty * np.maximum(rank - self.free, 0)
        return scores


SCORE_NAMES: Final = (ThresholdScore.name, AdaptiveScore.name, RegularizedScore.name)


def nonconformity_scores(penalty: float, free: int) -> Mapping[str, NonconformityScore]:
    """All nonconformity scores by name; ``penalty`` and ``free`` are those of RAPS."""
    return {score.name: score for score in (ThresholdScore(), AdaptiveScore(), RegularizedScore(penalty, free))}
