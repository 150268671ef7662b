"""Comparisons between groups that go class by class, each class against the rest: how often it is said, and how often rightly and wrongly."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.methods.fairness.comparison import Answers, Comparison
from efficient360.methods.fairness.draws import dealt

MEAN, WORST = "mean", "worst"


@final
@dataclass(frozen=True)
class Selection(Comparison):
    """Selection rates: the share of a group's examples for which each class is said. Demographic parity asks that they be equal.

    Equal rates are exchangeable over all examples: the null permutes the groups whatever the true class is.
    """

    summaries: ClassVar[tuple[str, ...]] = (MEAN, WORST)
    answers: Answers

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each class is said in each group, int64 ``(G, K)``."""
        return self.answers.by_class(self.answers.predicted)

    def observed(self) -> Floats:
        rates: Floats = (self.counts / self.answers.sizes[:, None])[None]
        return rates

    def null(self, draws: int, rng: np.random.Generator) -> Floats:
        rates: Floats = dealt(self.counts.sum(axis=0), self.answers.sizes, draws, rng) / self.answers.sizes[:, None]
        return rates

    def resampled(self, draws: int, rng: np.random.Generator) -> Floats:
        sizes = self.answers.sizes
        drawn = [rng.multinomial(size, counts / size, draws) / size for size, counts in zip(sizes, self.counts, strict=True)]
        return np.stack(drawn, axis=1)

    def gaps(self, rates: Floats) -> Floats:
        return _summaries(self.by_class(rates))

    def by_class(self, rates: Floats) -> Floats:
        """Difference between the groups of highest and lowest rate for each class, ``(r, K)``."""
        spread: Floats = rates.max(axis=1) - rates.min(axis=1)
        return spread

    @property
    def width(self) -> int:
        return len(self.answers.sizes) * self.answers.classes


@final
@dataclass(frozen=True)
class Said:
    """What was said of the examples of one true class.

    Args:
        label: The true class.
        classes: Classes that were said of them, ``(P,)``.
        counts: How often each was said in each group, int64 ``(G, P)``.
    """

    label: int
    classes: NDArray[np.int64]
    counts: NDArray[np.int64]


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
        return self.answers.by_class(self.answers.labels)

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

    @cached_property
    def said(self) -> tuple[Said, ...]:
        """What was said of the examples of each true class that occurs."""
        answers, found = self.answers, []
        order = np.argsort(answers.labels, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(answers.labels[order])) + 1):
            classes, index = np.unique(answers.predicted[members], return_inverse=True)
            groups = len(answers.sizes)
            counts = np.bincount(answers.codes[members] * len(classes) + index, minlength=groups * len(classes)).reshape(groups, len(classes))
            found.append(Said(int(answers.labels[members[0]]), classes, counts.astype(np.int64)))
        return tuple(found)

    def observed(self) -> Floats:
        return self._rates(1, lambda said: said.counts[None])

    def null(self, draws: int, rng: np.random.Generator) -> Floats:
        return self._rates(draws, lambda said: dealt(said.counts.sum(axis=0), said.counts.sum(axis=1), draws, rng))

    def resampled(self, draws: int, rng: np.random.Generator) -> Floats:
        return self._rates(draws, lambda said: np.stack([rng.multinomial(row.sum(), row / max(row.sum(), 1), draws) for row in said.counts], axis=1))

    def _rates(self, draws: int, counted: Callable[[Said], NDArray[np.int64]]) -> Floats:
        """True positive rates of the compared classes, then their false positive rates; whatever a group has no rate for is 0."""
        groups, told = len(self.answers.sizes), self.told[:, self.compared]
        hits, often = (np.zeros((draws, groups, self.answers.classes), dtype=np.int64) for _ in range(2))
        for said in self.said:
            counts = counted(said)
            often[:, :, said.classes] += counts
            right = np.flatnonzero(said.classes == said.label)
            if len(right):
                hits[:, :, said.label] = counts[:, :, right[0]]
        hits, often, positives = hits[:, :, self.compared], often[:, :, self.compared], self.positives[:, self.compared]
        negatives = self.answers.sizes[:, None] - positives
        true = np.where(told, hits / np.maximum(positives, 1), 0.0)
        false = np.where(told, (often - hits) / np.maximum(negatives, 1), 0.0)
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
    def width(self) -> int:
        return 2 * len(self.answers.sizes) * self.answers.classes


def _summaries(by_class: Floats) -> Floats:
    return np.stack([by_class.mean(axis=1), by_class.max(axis=1)], axis=1)
