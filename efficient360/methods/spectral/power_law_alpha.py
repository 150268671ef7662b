"""Power-law exponent α of the tail of an eigenvalue spectrum, as WeightWatcher fits it (Martin & Mahoney 2021)."""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

SMALLEST_EIGENVALUE: Final = 1e-5
"""Eigenvalues up to this count as zero, as in WeightWatcher."""
_CHUNK = 256
"""Candidate values of x_min evaluated at once."""


@final
@dataclass(frozen=True)
class PowerLawTail:
    """The density ``p(x) ~ x^-alpha`` for ``x ≥ x_min``.

    Args:
        alpha: Exponent, above 1.
        x_min: Smallest value of the tail.
        size: Number of values in the tail, at least 2.
        ks_distance: Kolmogorov-Smirnov distance between the tail and the law, in [0, 1]; 0 is a perfect fit.
    """

    alpha: float
    x_min: float
    size: int
    ks_distance: float

    def survival(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Share of the law above each of ``values``, all at least ``x_min``."""
        share: NDArray[np.float64] = (values / self.x_min) ** (1 - self.alpha)
        return share


def fit_power_law(values: NDArray[Any]) -> PowerLawTail | None:
    """The best-fitting power law over all candidate values of x_min.

    The exponent is the maximum-likelihood estimate for each x_min; the x_min chosen has the smallest Kolmogorov-Smirnov distance (Clauset, Shalizi &
    Newman 2009, Eq. 3.1 and Sec. 3.3). As in WeightWatcher, the distance at each value is taken against the share of the tail strictly below it.

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
    sizes = n - np.arange(n - 1)
    log_ratios = np.cumsum(logs[::-1])[::-1][:-1] - sizes * logs[:-1]  # sum over the tail of log(x / x_min)
    usable = log_ratios > 0
    alphas = np.where(usable, 1 + sizes / np.where(usable, log_ratios, 1.0), np.inf)
    distances = np.ones(n - 1)
    for first in range(0, n - 1, _CHUNK):
        last = min(first + _CHUNK, n - 1)
        distances[first:last] = _ks_distances(logs, alphas, first, last)
    best = int(np.argmin(np.where(usable, distances, np.inf)))
    return PowerLawTail(float(alphas[best]), float(ordered[best]), int(sizes[best]), float(distances[best]))


def _ks_distances(logs: NDArray[np.float64], alphas: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
    """Kolmogorov-Smirnov distances with x_min at positions ``first`` to ``last``."""
    start = np.arange(first, last)[:, None]
    position = np.arange(first, len(logs))[None, :]
    finite = np.where(np.isfinite(alphas[first:last]), alphas[first:last], 1.0)[:, None]
    exponent = (1 - finite) * (logs[None, first:] - logs[first:last, None])
    law = 1 - np.exp(np.minimum(exponent, 0.0))
    empirical = (position - start) / (len(logs) - start)
    distances: NDArray[np.float64] = np.where(position >= start, np.abs(law - empirical), 0.0).max(axis=1)
    return distances
