"""Comparisons between groups that go class by class, each class against the rest: how often it is said, and how often rightly and wrongly."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.quality.confidence_levels import Floats
from efficient360.quality.fairness.comparison import Answers, Comparison
from efficient360.quality.fairness.draws import Integers

MEAN, WORST = "mean", "worst"


@final
@dataclass(frozen=True)
class Selection(Comparison):
    """Selection rates: the share of a group's examples for which each class is said. Demographic parity asks that they be equal.

    Equal rates are exchangeable over all examples: the null permutes the groups whatever the true class is.
    """

    summaries: ClassVar[tuple[str, ...]] = (MEAN, WORST)
    answers: Answers

    def rates(self, drawn: Integers) -> Floats:
        rates: Floats = self.answers.by_class(self.answers.predicted[drawn], len(drawn)) / self.answers.sizes[:, None]
        return rates

    def gaps(self, rates: Floats) -> Floats:
        return _summaries(self.by_class(rates))

    def by_class(self, rates: Floats) -> Floats:
        """Difference between the groups of highest and lowest rate for each class, ``(r, K)``."""
        spread: Floats = rates.max(axis=1) - rates.min(axis=1)
        return spread

    @property
    def exchangeable(self) -> Integers:
        return np.zeros(len(self.answers), dtype=np.int64)

    @property
    def replaceable(self) -> Integers:
        return self.answers.codes

    @property
    def width(self) -> int:
        return len(self.answers.sizes) * self.answers.classes


@final
@dataclass(frozen=True)
class Odds(Comparison):
    """True and false positive rates of each class against the rest. Equalized odds asks that both be equal (Hardt et al. 2016).

    They are rates given the true class, so the null permutes the groups within each class. A group with fewer than ``least`` examples of a class, or
    of the others, has no rate there; a class for which fewer than two groups have both rates is left out.

    Args:
        answers: What was answered.
        least: Examples that a rate must rest on, at least 1.
    """

    summaries: ClassVar[tuple[str, ...]] = (MEAN, WORST)
    answers: Answers
    least: int

    @cached_property
    def positives(self) -> NDArray[np.int64]:
        """Examples of each class by group, int64 ``(G, K)``."""
        return self.answers.by_class(self.answers.labels[None], 1)[0]

    @cached_property
    def told(self) -> NDArray[np.bool_]:
        """Whether a group has both rates of a class, bool ``(G, K)``."""
        negatives = self.answers.sizes[:, None] - self.positives
        enough: NDArray[np.bool_] = (self.positives >= self.least) & (negatives >= self.least)
        return enough

    @cached_property
    def compared(self) -> NDArray[np.int64]:
        """Classes for which at least two groups have both rates."""
        compared: NDArray[np.int64] = np.flatnonzero(self.told.sum(axis=0) >= 2)
        return compared

    def rates(self, drawn: Integers) -> Floats:
        """True positive rates of the compared classes, then their false positive rates; whatever a group has no rate for is 0."""
        answers, told = self.answers, self.told[:, self.compared]
        predicted, right = answers.predicted[drawn], answers.correct[drawn]
        said = answers.by_class(predicted, len(drawn))[:, :, self.compared]
        hits = answers.by_class(np.where(right, predicted, answers.classes), len(drawn))[:, :, self.compared]
        positives = self.positives[:, self.compared]
        negatives = answers.sizes[:, None] - positives
        true = np.where(told, hits / np.maximum(positives, 1), 0.0)
        false = np.where(told, (said - hits) / np.maximum(negatives, 1), 0.0)
        return np.concatenate([true, false], axis=2)

    def gaps(self, rates: Floats) -> Floats:
        true, false = self.by_class(rates)
        return _summaries(np.maximum(true, false))

    def by_class(self, rates: Floats) -> tuple[Floats, Floats]:
        """Difference between the groups of highest and lowest true positive rate for each compared class, and of false positive rate."""
        told = np.tile(self.told[:, self.compared], 2)
        spread = np.where(told, rates, -np.inf).max(axis=1) - np.where(told, rates, np.inf).min(axis=1)
        return spread[:, : len(self.compared)], spread[:, len(self.compared) :]

    @property
    def exchangeable(self) -> Integers:
        return self.answers.labels

    @property
    def replaceable(self) -> Integers:
        return self.answers.codes * self.answers.classes + self.answers.labels

    @property
    def width(self) -> int:
        return 2 * len(self.answers.sizes) * self.answers.classes


def _summaries(by_class: Floats) -> Floats:
    return np.stack([by_class.mean(axis=1), by_class.max(axis=1)], axis=1)
