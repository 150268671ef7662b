"""A rate that is compared between groups, its gaps, and how far chance alone would open them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats, Integers
from efficient360.core.measurement import Interval
from efficient360.core.statistics import MonteCarloTest, centred_bootstrap, monte_carlo_test
from efficient360.methods.fairness.draws import chunks
from efficient360.methods.fairness.tally import METHOD


@final
@dataclass(frozen=True)
class Answers:
    """What a classifier said of examples, group after group.

    Args:
        labels: True classes, int64 ``(n,)``.
        predicted: Predicted classes, int64 ``(n,)``.
        confidence: Probability given to the predicted class, float64 ``(n,)``.
        codes: Group of each example, ascending, 0 … G − 1, int64 ``(n,)``; every group has an example.
        classes: Number of classes ``K``.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.floating[Any]]
    codes: NDArray[np.int64]
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each was answered rightly, bool ``(n,)``."""
        right: NDArray[np.bool_] = self.labels == self.predicted
        return right

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Examples of each group, int64 ``(G,)``."""
        return np.bincount(self.codes).astype(np.int64)

    def by_class(self, values: Integers) -> NDArray[np.int64]:
        """How often each class stands in ``values`` ``(n,)`` by group, int64 ``(G, K)``."""
        groups = int(self.codes[-1]) + 1
        return np.bincount(self.codes * self.classes + values, minlength=groups * self.classes).reshape(groups, self.classes).astype(np.int64)


class Comparison(ABC):
    """A rate, or several, of every group. Its gaps are seminorms of the rates: 0 when all groups are alike, and obeying the triangle inequality."""

    summaries: ClassVar[tuple[str, ...]]
    """What its gaps are called, ``S`` of them."""
    largest: ClassVar[float] = 1.0
    """The largest gap there can be."""

    @abstractmethod
    def observed(self) -> Floats:
        """The rates as they are, ``(1, G, Q)``."""

    @abstractmethod
    def null(self, draws: int, rng: np.random.Generator) -> Floats:
        """Rates ``(draws, G, Q)`` when the groups are alike: the same answers under permuted group labels."""

    @abstractmethod
    def resampled(self, draws: int, rng: np.random.Generator) -> Floats:
        """Rates ``(draws, G, Q)`` of examples drawn with replacement within each group."""

    @abstractmethod
    def gaps(self, rates: Floats) -> Floats:
        """Gaps ``(r, S)``, at least 0, between the groups of rates ``(r, G, Q)``."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers that a draw takes."""


@final
@dataclass(frozen=True)
class Gap:
    """One gap between groups.

    Args:
        name: Which summary.
        beyond: Its value against chance.
        interval: Of the true gap.
        excess: Interval of the value less the chance level.
    """

    name: str
    beyond: MonteCarloTest
    interval: Interval
    excess: Interval


def compare(of: Comparison, permutations: int, resamples: int, rng: np.random.Generator, check: Callable[[], None]) -> list[Gap]:
    """Every gap of a comparison against its permutation null.

    Args:
        of: What is compared.
        permutations: Draws of the null.
        resamples: Draws of the bootstrap.
        rng: Source of randomness.
        check: Called between chunks of work; may raise.
    """
    seen = of.observed()
    null, spread, errors = [], [], []
    for rows in chunks(permutations, of.width):
        check()
        null.append(of.gaps(of.null(rows, rng)))
    for rows in chunks(resamples, of.width):
        check()
        rates = of.resampled(rows, rng)
        spread.append(of.gaps(rates))
        errors.append(of.gaps(rates - seen))
    values, by_chance, again, strayed = of.gaps(seen)[0], np.concatenate(null), np.concatenate(spread), np.concatenate(errors)
    found = []
    for i, name in enumerate(of.summaries):
        value, reach = float(values[i]), float(np.quantile(strayed[:, i], 0.95))
        against = monte_carlo_test(value, by_chance[:, i])
        interval = Interval(max(0.0, value - reach), min(of.largest, value + reach), METHOD)
        found.append(Gap(name, against, interval, centred_bootstrap(against.excess, again[:, i], -of.largest, of.largest)))
    return found
