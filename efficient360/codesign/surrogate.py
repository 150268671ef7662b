"""A Gaussian process over candidates: single knobs and pairs of knobs explain a metric (Duvenaud, Nickisch & Rasmussen 2011, "Additive Gaussian processes",
equation 5, of first and second order).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from efficient360.codesign.space import Candidate, Knob
from efficient360.core.arrays import Floats

SINGLE: Final = (0.5, 0.8, 0.95)
"""Shares of the variance that single knobs may explain; pairs explain the rest."""
NOISE: Final = (1e-4, 1e-3, 1e-2, 0.1)
"""Variances of the noise, in shares of the values' own."""


@final
@dataclass(frozen=True)
class Grid:
    """Candidates as settings' indices.

    Args:
        knobs: Those with more than one setting.
    """

    knobs: tuple[Knob, ...]

    def indices(self, candidates: Sequence[Candidate]) -> NDArray[np.int64]:
        """Shape ``(n, knobs)``."""
        places = [{value: i for i, value in enumerate(knob.values)} for knob in self.knobs]
        rows = [[place[candidate[knob.name]] for knob, place in zip(self.knobs, places, strict=True)] for candidate in candidates]
        return np.array(rows, dtype=np.int64).reshape(len(candidates), len(self.knobs))

    def likeness(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """How alike candidates are, in single knobs and in pairs of knobs, each in [0, 1]; shapes ``(n, m)``.

        Settings in order are alike by ``exp(−steps / (settings − 1))``, others only to themselves.
        """
        total, squares = np.zeros((len(a), len(b))), np.zeros((len(a), len(b)))
        for column, knob in enumerate(self.knobs):
            steps = np.abs(a[:, column, None] - b[None, :, column])
            alike = np.exp(-steps / (len(knob.values) - 1)) if knob.ordered else (steps == 0).astype(np.float64)
            total += alike
            squares += alike**2
        count = len(self.knobs)
        pairs = (total**2 - squares) / (count * (count - 1)) if count > 1 else np.zeros_like(total)
        return total / max(count, 1), pairs


@final
@dataclass(frozen=True)
class Surrogate:
    """A fitted process of one metric.

    Args:
        grid: Of the candidates.
        at: Indices of the observed candidates, ``(n, knobs)``.
        weights: ``K⁻¹ y``, ``(n,)``.
        factor: Lower Cholesky factor of the observations' covariance, ``(n, n)``.
        single: Share of single knobs.
        mean: Of the observed values.
        scale: Their standard deviation.
    """

    grid: Grid
    at: NDArray[np.int64]
    weights: Floats
    factor: Floats
    single: float
    mean: float
    scale: float

    def predict(self, at: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the values at candidates ``(m, knobs)``; shapes ``(m,)``."""
        covariance = _covariance(self.grid, at, self.at, self.single)
        solved = linalg.solve_triangular(self.factor, covariance.T, lower=True)
        own = 1.0 + PRIOR
        variance = np.maximum(own - (solved**2).sum(0), 1e-9)
        return self.mean + self.scale * (covariance @ self.weights), self.scale * np.sqrt(variance)


PRIOR: Final = 1.0
"""Variance of the constant, in shares of the values' own."""


def fit(grid: Grid, at: NDArray[np.int64], values: Floats) -> Surrogate:
    """The process with the likeliest of a few settings.

    Args:
        grid: Of the candidates.
        at: Indices of observed candidates, ``(n, knobs)``.
        values: Observed at them, ``(n,)``.
    """
    mean, scale = float(values.mean()), float(values.std()) or 1.0
    y = (values - mean) / scale
    best: tuple[float, Surrogate] | None = None
    for single in SINGLE:
        covariance = _covariance(grid, at, at, single)
        for noise in NOISE:
            factor = linalg.cholesky(covariance + noise * np.eye(len(y)), lower=True)
            weights = linalg.cho_solve((factor, True), y)
            likelihood = -0.5 * float(y @ weights) - float(np.log(np.diag(factor)).sum())
            if best is None or likelihood > best[0]:
                best = likelihood, Surrogate(grid, at, weights, factor, single, mean, scale)
    assert best is not None
    return best[1]


def _covariance(grid: Grid, a: NDArray[np.int64], b: NDArray[np.int64], single: float) -> Floats:
    alone, pairs = grid.likeness(a, b)
    return PRIOR + single * alone + (1 - single) * pairs
