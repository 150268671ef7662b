"""The strongest of several membership attacks: an interval of the highest AUC that carries the selection."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from efficient360.core.arrays import Floats
from efficient360.core.measurement import LEVEL, Interval
from efficient360.methods.privacy.roc import Z, lower_end, roc

DRAWS: Final = 20_000
"""Draws of the largest of several correlated normal deviates."""


def highest_auc_interval(attacks: Sequence[tuple[Floats, Floats]], seed: int) -> Interval:
    """Interval of the highest true AUC of any attack, whichever attack has it.

    The highest observed AUC is that of the attack that was lucky too, so its lower end must hold for all attacks at once: the highest of their lower ends at
    the critical value of the largest of their correlated deviates. The upper end is the highest of their upper ends, each by itself, since only that of
    the truly strongest attack has to hold. For a single attack it is :func:`efficient360.methods.privacy.roc.auc_interval`.

    Args:
        attacks: Scores of members and of non-members of each attack; those of the same length belong to the same examples.
        seed: Of the draws behind the critical value.
    """
    z = critical_value(attacks, seed)
    ends = []
    for members, nonmembers in attacks:
        auc, sizes = roc(members, nonmembers).auc, (len(members), len(nonmembers))
        ends.append((auc, lower_end(auc, *sizes, z), 1 - lower_end(1 - auc, *sizes, Z)))
    highest = max(auc for auc, _, _ in ends)
    low, high = max(low for _, low, _ in ends), max(high for _, _, high in ends)
    return Interval(min(low, highest), max(high, highest), "newcombe" if len(attacks) == 1 else "newcombe-simultaneous")


def critical_value(attacks: Sequence[tuple[Floats, Floats]], seed: int) -> float:
    """The value that the largest of the attacks' standardised errors stays below with 97.5 % probability."""
    if len(attacks) == 1:
        return Z
    draws = np.random.default_rng([seed, 360]).multivariate_normal(np.zeros(len(attacks)), _correlation(attacks), DRAWS, method="eigh")
    return max(Z, float(np.quantile(draws.max(axis=1), (1 + LEVEL) / 2)))


def _correlation(attacks: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Correlation of the AUCs' errors (DeLong, DeLong & Clarke-Pearson 1988), ``(k, k)``; taken as 0 between attacks on different numbers of examples."""
    count = len(attacks)
    covariance = np.zeros((count, count))
    for side in (0, 1):
        lengths = np.array([len(scores[side]) for scores in attacks])
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length).tolist()
            covariance[np.ix_(rows, rows)] += np.atleast_2d(np.cov([placements(*attacks[row])[side] for row in rows])) / length
    spread = np.sqrt(np.diag(covariance))
    spread[spread == 0] = 1.0
    correlation: Floats = covariance / np.outer(spread, spread)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def placements(members: Floats, nonmembers: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Share of the non-members that each member outscores, ``(m,)``, and of the members that outscore each non-member, ``(n,)``; ties count half."""
    together = rankdata(np.concatenate([members, nonmembers]))
    m, n = len(members), len(nonmembers)
    return (together[:m] - rankdata(members)) / n, 1 - (together[m:] - rankdata(nonmembers)) / m
