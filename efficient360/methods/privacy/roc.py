"""How well scores tell members from others: counts at every threshold, and the rates that follow."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Interval
from efficient360.core.statistics import LEVEL

Counts = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Roc:
    """Counts at every threshold that changes anything, falling; the first lets nobody through.

    Args:
        thresholds: float64 ``(t,)``, the first is infinite.
        hits: Members that score at least the threshold, int64 ``(t,)``.
        alarms: Others that do, int64 ``(t,)``.
        members: Members in all.
        others: Others in all.
    """

    thresholds: Floats
    hits: Counts
    alarms: Counts
    members: int
    others: int

    @property
    def auc(self) -> float:
        """Chance that a member outscores another example, ties counting half, in [0, 1] (Mann & Whitney 1947)."""
        area = (np.diff(self.alarms) * (self.hits[1:] + self.hits[:-1])).sum() / 2
        return float(area / (self.members * self.others))

    def hits_within(self, alarms: int) -> int:
        """The most members named at a threshold that names at most this many others."""
        return int(self.hits[np.searchsorted(self.alarms, alarms, side="right") - 1])

    def ruled_out_within(self, misses: int) -> int:
        """The most others ruled out at a threshold that rules out at most this many members."""
        return self.others - int(self.alarms[np.searchsorted(self.hits, self.members - misses, side="left")])


def roc(members: Floats, others: Floats) -> Roc:
    """Counts at every threshold.

    Args:
        members: Scores of training examples, finite, ``(m,)`` with ``m`` at least 1; higher is more like a member.
        others: Scores of the rest, ``(n,)`` with ``n`` at least 1.
    """
    scores = np.concatenate([members, others]).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    ranked, member = scores[order], order < len(members)
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(member, dtype=np.int64)[ends]
    return Roc(np.append(np.inf, ranked[ends]), np.append(0, hits), np.append(0, ends + 1 - hits), len(members), len(others))


def allowed(rate: float, n: int) -> int:
    """How many of ``n`` examples a rate allows."""
    return math.floor(rate * n + 1e-9)


def auc_interval(auc: float, members: float, others: float) -> Interval:
    """Score interval of an AUC (Newcombe 2006, part 2, method 5): within [0, 1] and never a point, also for perfect separation."""
    low = _lower_end(auc, members, others)
    return Interval(min(low, auc), max(1 - _lower_end(1 - auc, members, others), auc), "newcombe")


def _lower_end(auc: float, members: float, others: float) -> float:
    if auc <= 0:
        return 0.0
    z, mean = float(norm.ppf((1 + LEVEL) / 2)), (members + others) / 2

    def distance(at: float) -> float:
        spread = at * (1 - at) * (1 + (mean - 1) * ((1 - at) / (2 - at) + at / (1 + at))) / (members * others)
        return auc - at - z * math.sqrt(spread)

    # Where the AUC is 1 the equation also holds at 1 itself, which says nothing: look below.
    return float(brentq(distance, 0.0, min(auc, 1 - 1e-9)))


def balanced_hits(members: Floats, others: Floats, seed: int) -> int:
    """How many examples land on the right side when each half is judged by the threshold that did best on the other half.

    A threshold chosen on the examples that it judges finds more than there is: some pattern always fits.

    Args:
        members: Scores ``(n,)``, ``n`` at least 2.
        others: Scores ``(n,)``.
        seed: Of the halves.
    """
    rng = np.random.default_rng(seed)
    mixed, rest = members[rng.permutation(len(members))], others[rng.permutation(len(others))]
    m, o = len(members) // 2, len(others) // 2
    right = 0
    for (fit_m, judge_m), (fit_o, judge_o) in zip(((mixed[:m], mixed[m:]), (mixed[m:], mixed[:m])), ((rest[:o], rest[o:]), (rest[o:], rest[:o])), strict=True):
        found = roc(fit_m, fit_o)
        best = _between(found.thresholds, int(np.argmax(found.hits / found.members - found.alarms / found.others)))
        right += int((judge_m >= best).sum()) + int((judge_o < best).sum())
    return right


def _between(thresholds: Floats, index: int) -> float:
    """Halfway from a threshold to the next score below: neither side's next example is likelier to cross it."""
    below = thresholds[min(index + 1, len(thresholds) - 1)]
    return float((thresholds[index] + below) / 2)
