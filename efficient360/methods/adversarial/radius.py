"""Accuracy against ε, and the ε at which half of what was right has fallen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Curve, Series
from efficient360.core.measurement import Interval
from efficient360.core.statistics import percentiles, wilson
from efficient360.methods.adversarial.threat import Norm, Threat

RESAMPLES = 1000


@final
@dataclass(frozen=True)
class Median:
    """A median minimal perturbation.

    Args:
        epsilon: ε in pixel units.
        interval: Its 95 % bootstrap interval over examples; ends stop at the grid's.
    """

    epsilon: float
    interval: Interval


def median_radius(at: NDArray[np.int64], epsilons: Sequence[float], seed: int) -> Median | None:
    """The ε at which half of the examples have fallen, linear between the grid's, ``None`` where over half stand at the largest.

    Args:
        at: Index of the ε at which each rightly classified example fell, ``len(epsilons)`` where it stands, ``(n,)``.
        epsilons: Rising, in pixel units.
        seed: Of the bootstrap.
    """
    if not len(at):
        return None
    grid = np.array([0.0, *epsilons])
    value = _half(_fallen(at, len(epsilons)), grid)
    if value is None:
        return None
    rng = np.random.default_rng([seed, 360])
    draws = [_half(_fallen(at[rng.integers(0, len(at), len(at))], len(epsilons)), grid) for _ in range(RESAMPLES)]
    return Median(value, percentiles([grid[-1] if draw is None else draw for draw in draws], "bootstrap"))


def _fallen(at: NDArray[np.int64], grid: int) -> NDArray[Any]:
    """Share fallen at ε = 0 and at each of the grid, ``(grid + 1,)``."""
    return np.concatenate([[0.0], np.cumsum(np.bincount(at, minlength=grid + 1)[:grid]) / len(at)])


def _half(fallen: NDArray[Any], grid: NDArray[Any]) -> float | None:
    after = int(np.searchsorted(fallen, 0.5))
    if after == len(grid):
        return None
    share = (0.5 - fallen[after - 1]) / (fallen[after] - fallen[after - 1])
    return float(grid[after - 1] + share * (grid[after] - grid[after - 1]))


def accuracy_curve(threats: Sequence[Threat], clean: NDArray[Any], standing: Sequence[NDArray[Any]]) -> Curve:
    """Accuracy against ε, with Wilson intervals.

    Args:
        threats: Of one norm, ε rising.
        clean: Whether each example is right when clean, ``(n,)``.
        standing: The same in each threat model.
    """
    n = len(clean)
    scale = 255.0 if threats[0].norm is Norm.LINF else 1.0
    hits = [int(clean.sum()), *(int(one.sum()) for one in standing)]
    intervals = [wilson(hit, n) for hit in hits]
    x, y = (0.0, *(scale * t.epsilon for t in threats)), tuple(hit / n for hit in hits)
    points = Series("worst case", x, y, tuple(i.low for i in intervals), tuple(i.high for i in intervals))
    unit = "ε, in 255ths of the pixel range (L∞)" if threats[0].norm is Norm.LINF else "ε (L2, pixels in [0, 1])"
    return Curve("Accuracy against ε" if threats[0].norm is Norm.LINF else "Accuracy against ε (L2)", unit, "robust accuracy", (points,))
