"""Recall by class and its mean, the balanced accuracy, with an interval that knows how many examples each class has."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Interval
from efficient360.core.statistics import percentiles, wilson


@final
@dataclass(frozen=True)
class Recalls:
    """How often the examples of each class were named rightly. Classes without examples are left out.

    Args:
        classes: Labels that occur, ascending, int64 ``(C,)``.
        hits: Right answers by class, int64 ``(C,)``.
        counts: Examples by class, int64 ``(C,)``, at least 1.
    """

    classes: NDArray[np.int64]
    hits: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def values(self) -> NDArray[np.float64]:
        """Recall by class, float64 ``(C,)`` in [0, 1]."""
        return self.hits / self.counts

    @property
    def balanced(self) -> float:
        """Mean of the recalls (macro recall)."""
        return float(self.values.mean())


def recalls(labels: NDArray[np.int64], correct: NDArray[np.floating[Any]]) -> Recalls:
    """Recall by class of labels ``(n,)`` and 0/1 values ``(n,)``."""
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    hits = np.bincount(inverse, weights=correct, minlength=len(classes))
    return Recalls(classes, hits.astype(np.int64), counts)


def balanced_interval(of: Recalls, seed: int, resamples: int) -> Interval:
    """Interval of the balanced accuracy: percentiles of a bootstrap within each class (Efron & Tibshirani 1993, section 8).

    Drawing ``n`` 0/1 values with replacement is a binomial draw, so no example is touched. A class with a single example
    shows no spread of its own; such classes are drawn from all of them together. Where every answer is right, or every
    one wrong, resampling shows no spread at all: then the Wilson interval over the examples stands in.
    """
    if of.balanced in (0.0, 1.0):
        return wilson(int(of.hits.sum()), int(of.counts.sum()))
    rng = np.random.default_rng(seed)
    single = of.counts == 1
    share = np.where(single, of.hits[single].mean() if single.any() else 0.0, of.values)
    draws = np.array([(rng.binomial(of.counts, share) / of.counts).mean() for _ in range(resamples)])
    return percentiles(draws, "stratified-bootstrap")
