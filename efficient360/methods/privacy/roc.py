"""ROC of a membership attack: counts at every threshold, AUC, rates at low error rates, and cross-fitted balanced accuracy."""

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from efficient360.core.arrays import Floats
from efficient360.core.measurement import LEVEL, Interval

Counts = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Roc:
    """Counts at every distinct threshold, descending; at the first nothing is predicted a member.

    Args:
        thresholds: float64 ``(t,)``, the first is infinite.
        true_positives: Members that score at least the threshold, int64 ``(t,)``.
        false_positives: Non-members that do, int64 ``(t,)``.
        members: Number of members.
        nonmembers: Number of non-members.
    """

    thresholds: Floats
    true_positives: Counts
    false_positives: Counts
    members: int
    nonmembers: int

    @property
    def auc(self) -> float:
        """Probability that a member outscores a non-member, ties counting half, in [0, 1] (Mann & Whitney 1947)."""
        area = (np.diff(self.false_positives) * (self.true_positives[1:] + self.true_positives[:-1])).sum() / 2
        return float(area / (self.members * self.nonmembers))

    def true_positives_at(self, false_positives: int) -> int:
        """The most true positives at a threshold with at most this many false positives."""
        return int(self.true_positives[np.searchsorted(self.false_positives, false_positives, side="right") - 1])

    def true_negatives_at(self, false_negatives: int) -> int:
        """The most true negatives at a threshold with at most this many false negatives."""
        index = np.searchsorted(self.true_positives, self.members - false_negatives, side="left")
        return self.nonmembers - int(self.false_positives[index])


def roc(members: Floats, nonmembers: Floats) -> Roc:
    """Counts at every threshold.

    Args:
        members: Scores of members, finite, ``(m,)`` with ``m`` at least 1; higher is more like a member.
        nonmembers: Scores of non-members, ``(n,)`` with ``n`` at least 1.
    """
    scores = np.concatenate([members, nonmembers]).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    ranked, is_member = scores[order], order < len(members)
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(is_member, dtype=np.int64)[ends]
    return Roc(np.append(np.inf, ranked[ends]), np.append(0, hits), np.append(0, ends + 1 - hits), len(members), len(nonmembers))


def max_errors(rate: float, n: int) -> int:
    """The most errors among ``n`` examples within an error rate."""
    return math.floor(rate * n + 1e-9)


Z: Final = float(norm.ppf((1 + LEVEL) / 2))


def auc_interval(auc: float, members: float, nonmembers: float) -> Interval:
    """Score interval of an AUC (Newcombe 2006, part 2, method 5): within [0, 1] and never a point, also for perfect separation."""
    low = lower_end(auc, members, nonmembers, Z)
    return Interval(min(low, auc), max(1 - lower_end(1 - auc, members, nonmembers, Z), auc), "newcombe")


def lower_end(auc: float, members: float, nonmembers: float, z: float) -> float:
    """The AUC from which the observed one is ``z`` standard errors away, at most the observed one."""
    if auc <= 0:
        return 0.0
    mean = (members + nonmembers) / 2

    def distance(at: float) -> float:
        spread = at * (1 - at) * (1 + (mean - 1) * ((1 - at) / (2 - at) + at / (1 + at))) / (members * nonmembers)
        return auc - at - z * math.sqrt(spread)

    # Where the AUC is 1 the equation also holds at 1 itself, which is no lower end: search below it.
    return float(brentq(distance, 0.0, min(auc, 1 - 1e-9)))


def cross_fitted_hits(members: Floats, nonmembers: Floats, seed: int) -> int:
    """How many examples are classified correctly when each half is judged by the threshold that did best on the other half.

    A threshold chosen on the examples that it judges would be optimistic.

    Args:
        members: Scores ``(n,)``, ``n`` at least 2.
        nonmembers: Scores ``(n,)``.
        seed: Of the halves.
    """
    rng = np.random.default_rng(seed)
    members, nonmembers = members[rng.permutation(len(members))], nonmembers[rng.permutation(len(nonmembers))]
    m, o = len(members) // 2, len(nonmembers) // 2
    halves = ((members[:m], nonmembers[:o]), (members[m:], nonmembers[o:]))
    hits = 0
    for (fit_members, fit_nonmembers), (test_members, test_nonmembers) in (halves, halves[::-1]):
        curve = roc(fit_members, fit_nonmembers)
        youden = curve.true_positives / curve.members - curve.false_positives / curve.nonmembers
        threshold = _midpoint(curve.thresholds, int(np.argmax(youden)))
        hits += int((test_members >= threshold).sum()) + int((test_nonmembers < threshold).sum())
    return hits


def _midpoint(thresholds: Floats, index: int) -> float:
    """Halfway from a threshold to the next score below."""
    below = thresholds[min(index + 1, len(thresholds) - 1)]
    return float((thresholds[index] + below) / 2)
