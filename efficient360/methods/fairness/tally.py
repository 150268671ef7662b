"""Right answers by group: how far apart the groups are, with intervals, and how far chance alone would put them."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Interval
from efficient360.core.statistics import wilson

METHOD = "simultaneous-bootstrap"


@final
@dataclass(frozen=True)
class Tally:
    """Right answers by group.

    Args:
        hits: How many examples of each group were answered rightly, int64 ``(G,)``.
        sizes: Examples of each group, int64 ``(G,)``, at least 1.
    """

    hits: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def values(self) -> Floats:
        """Accuracy of each group, float64 ``(G,)`` in [0, 1]."""
        accuracy: Floats = self.hits / self.sizes
        return accuracy

    @property
    def n(self) -> int:
        """Examples in all."""
        return int(self.sizes.sum())

    @property
    def overall(self) -> float:
        """Accuracy over all examples."""
        return int(self.hits.sum()) / self.n

    @property
    def worst(self) -> int:
        """The group of lowest accuracy; of equal ones the first."""
        return int(np.argmin(self.values))

    def interval(self, group: int) -> Interval:
        """Wilson interval of one group's accuracy."""
        return wilson(int(self.hits[group]), int(self.sizes[group]))


def tally(codes: NDArray[np.int64], correct: NDArray[np.floating[Any]], groups: int) -> Tally:
    """Right answers by group of 0/1 values ``(n,)``; codes ``(n,)`` are 0 … groups − 1, and every group has an example."""
    hits = np.bincount(codes, weights=correct, minlength=groups)
    return Tally(hits.astype(np.int64), np.bincount(codes, minlength=groups).astype(np.int64))


def chance(of: Tally, draws: int, rng: np.random.Generator) -> Floats:
    """Accuracies by group when the same right answers fall on examples regardless of group, ``(draws, G)``.

    Dealing the answers out anew is a permutation of the group labels; the counts it gives are multivariate hypergeometric, so no example is touched.
    """
    dealt = rng.multivariate_hypergeometric(of.sizes, int(of.hits.sum()), size=draws, method="marginals")
    accuracy: Floats = dealt / of.sizes
    return accuracy


def errors(of: Tally, draws: int, rng: np.random.Generator) -> Floats:
    """How far accuracies by group of so many examples stray, ``(draws, G)``: a parametric bootstrap.

    Drawn from ``(hits + 2) / (size + 4)`` (Agresti & Coull 1998), so that a group without a mistake is not taken to be without error.
    """
    share = (of.hits + 2) / (of.sizes + 4)
    strayed: Floats = rng.binomial(of.sizes, share, (draws, len(of.sizes))) / of.sizes - share
    return strayed


def differences(accuracies: Floats) -> Floats:
    """Largest less smallest of each row of ``(r, G)``, ``(r,)``."""
    spread: Floats = accuracies.max(axis=1) - accuracies.min(axis=1)
    return spread


def difference_interval(of: Tally, strayed: Floats) -> Interval:
    """Interval of the true difference between the best and the worst group, whichever they are.

    The observed and the true range differ by the range of the errors at most (triangle inequality), so its 95 % quantile to both sides covers, as
    Tukey's studentized range does for all pairs at once. For two groups it is the usual interval of a difference, cut at 0.
    """
    value = float(differences(of.values[None])[0])
    reach = float(np.quantile(differences(strayed), 0.95))
    return Interval(max(0.0, value - reach), min(1.0, value + reach), METHOD)


def ratio(of: Tally) -> float | None:
    """Lowest accuracy over highest, in [0, 1]; ``None`` when no group has a right answer."""
    highest = float(of.values.max())
    return float(of.values.min()) / highest if highest > 0 else None


def ratio_interval(of: Tally, strayed: Floats) -> Interval:
    """Interval of the true ratio of lowest to highest accuracy: :func:`difference_interval` on the logarithms, whose errors share its argument."""
    value = ratio(of) or 0.0
    share = (of.hits + 2) / (of.sizes + 4)
    # The bootstrap's own logarithm must be finite: half a right answer at least.
    moved = np.log(np.maximum(share + strayed, 0.5 / of.sizes)) - np.log(share)
    reach = float(np.quantile(differences(moved), 0.95))
    centre = float(np.log(share).max() - np.log(share).min()) if value == 0 else -float(np.log(value))
    low = 0.0 if value == 0 else float(np.exp(-(centre + reach)))
    return Interval(min(value, low), max(value, min(1.0, float(np.exp(-(centre - reach))))), METHOD)


def against_rest(of: Tally, null: Floats) -> Floats:
    """p-value of each group's distance from the overall accuracy, corrected for looking at all groups, ``(G,)``.

    Single-step maxT (Westfall & Young 1993): a group's standardised distance against the largest of any group in each draw of :func:`chance`.
    """
    spread = np.sqrt(of.overall * (1 - of.overall) * np.maximum(1 / of.sizes - 1 / of.n, 0))
    if not spread.all():
        return np.ones(len(of.sizes))  # all right, all wrong or a single group: there is no distance
    observed, drawn = np.abs(of.values - of.overall) / spread, (np.abs(null - of.overall) / spread).max(axis=1)
    reached = (drawn[:, None] >= observed - 1e-9).sum(axis=0)
    p_values: Floats = (reached + 1) / (len(null) + 1)
    return p_values
