"""Nonconformity scores of classes: how strange it would be if a class were the true one. All three rise down the ranking, so a set is always a top-k."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats

ROWS = 4096
"""Examples sorted at a time."""


@final
@dataclass(frozen=True)
class Ranked:
    """Classes by probability.

    Args:
        probability: Probabilities in descending order, float64 ``(n, K)``.
        place: Place of the true class in that order, 0 for the first, int64 ``(n,)``.
    """

    probability: Floats
    place: NDArray[np.int64]


def ranked(logits: NDArray[Any], labels: NDArray[np.int64]) -> Ranked:
    """Classes of logits ``(n, K)`` in descending order, of equal ones the lower index first, and where the true ones ``(n,)`` stand."""
    probability, place = np.empty(logits.shape), np.empty(len(labels), dtype=np.int64)
    for start in range(0, len(labels), ROWS):
        rows = slice(start, start + ROWS)
        exact = logits[rows].astype(np.float64)
        order = np.argsort(-exact, axis=1, kind="stable")
        descending = np.take_along_axis(exact, order, axis=1)
        share = np.exp(descending - descending[:, :1])
        probability[rows] = share / share.sum(axis=1, keepdims=True)
        place[rows] = (order == labels[rows, None]).argmax(axis=1)
    return Ranked(probability, place)


class Score(ABC):
    """A nonconformity score."""

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def of(self, probability: Floats, chance: Floats) -> Floats:
        """Score of every class by rank, ``(n, K)``, rising along a row.

        Args:
            probability: In descending order, ``(n, K)``.
            chance: A number in [0, 1) of each example's own, ``(n,)``.
        """


@final
@dataclass(frozen=True)
class Threshold(Score):
    """Least ambiguous sets: every class above one probability (Sadinle, Lei & Wasserman 2019; also called LAC)."""

    name: ClassVar[str] = "thr"
    title: ClassVar[str] = "THR"

    def of(self, probability: Floats, chance: Floats) -> Floats:
        """One less the probability."""
        return 1.0 - probability


@final
@dataclass(frozen=True)
class Adaptive(Score):
    """Adaptive sets: the likeliest classes until their sum suffices, the last one by lot (Romano, Sesia & Candès 2020, APS)."""

    name: ClassVar[str] = "aps"
    title: ClassVar[str] = "APS"

    def of(self, probability: Floats, chance: Floats) -> Floats:
        """The sum of all likelier classes and ``1 − u`` of its own probability; ``1 − u`` is as uniform as the paper's ``u``."""
        scores: Floats = np.cumsum(probability, axis=1) - chance[:, None] * probability
        return scores


@final
@dataclass(frozen=True)
class Regularized(Score):
    """Regularized adaptive sets: as adaptive ones, with a penalty on every rank beyond the first few (Angelopoulos et al. 2021, RAPS).

    Args:
        penalty: λ of the paper, added for each rank beyond ``free``, 0 or more.
        free: k_reg of the paper, ranks without a penalty, 0 or more.
    """

    name: ClassVar[str] = "raps"
    title: ClassVar[str] = "RAPS"
    penalty: float
    free: int

    def of(self, probability: Floats, chance: Floats) -> Floats:
        """The adaptive score and the penalty."""
        rank = np.arange(1, probability.shape[1] + 1)
        scores: Floats = Adaptive().of(probability, chance) + self.penalty * np.maximum(rank - self.free, 0)
        return scores


def known(penalty: float, free: int) -> Mapping[str, Score]:
    """The scores by name."""
    return {score.name: score for score in (Threshold(), Adaptive(), Regularized(penalty, free))}
