"""A power law fitted to the tail of a spectrum."""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

SMALLEST_EIGENVALUE: Final = 1e-5
"""Eigenvalues up to here count as zero, as in weightwatcher."""
_ROWS = 256
"""Candidate beginnings of the tail that are tried at once."""


@final
@dataclass(frozen=True)
class PowerLaw:
    """The density ``p(x) ~ x^-alpha`` from ``start`` on.

    Args:
        alpha: Exponent, above 1.
        start: Smallest value of the tail.
        tail: How many values the tail holds, at least 2.
        distance: Largest difference of the tail's and the law's distribution functions (Kolmogorov-Smirnov), in [0, 1]: 0 is a perfect fit.
    """

    alpha: float
    start: float
    tail: int
    distance: float

    def share_above(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Share of the tail that lies above each of ``values``, all at least ``start``."""
        above: NDArray[np.float64] = (values / self.start) ** (1 - self.alpha)
        return above


def fit_power_law(values: NDArray[Any]) -> PowerLaw | None:
    """The power law that fits best, over all places where its tail may begin.

    For each beginning the exponent of highest likelihood; of those the one whose law lies nearest to the tail (Clauset, Shalizi & Newman 2009, Eq. 3.1 and
    Sec. 3.3). As weightwatcher does, the distance is taken at each value against the share of the tail below it.

    Args:
        values: Positive values, ``(n,)``.

    Returns:
        The law, or ``None`` where there are fewer than three different values.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    logs = np.log(ordered)
    n = len(logs)
    if n < 3 or logs[0] == logs[-2]:
        return None
    tails = n - np.arange(n - 1)
    above = np.cumsum(logs[::-1])[::-1][:-1] - tails * logs[:-1]  # sum over the tail of log(x / start)
    usable = above > 0
    alphas = np.where(usable, 1 + tails / np.where(usable, above, 1.0), np.inf)
    distances = np.ones(n - 1)
    for first in range(0, n - 1, _ROWS):
        last = min(first + _ROWS, n - 1)
        distances[first:last] = _distances(logs, alphas, first, last)
    best = int(np.argmin(np.where(usable, distances, np.inf)))
    return PowerLaw(float(alphas[best]), float(ordered[best]), int(tails[best]), float(distances[best]))


def _distances(logs: NDArray[np.float64], alphas: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
    """Distance of law and tail for beginnings ``first`` to ``last``."""
    begin = np.arange(first, last)[:, None]
    place = np.arange(first, len(logs))[None, :]
    finite = np.where(np.isfinite(alphas[first:last]), alphas[first:last], 1.0)[:, None]
    exponent = (1 - finite) * (logs[None, first:] - logs[first:last, None])
    law = 1 - np.exp(np.minimum(exponent, 0.0))
    empirical = (place - begin) / (len(logs) - begin)
    gaps: NDArray[np.float64] = np.where(place >= begin, np.abs(law - empirical), 0.0).max(axis=1)
    return gaps
