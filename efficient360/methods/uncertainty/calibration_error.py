"""Expected calibration error over bins of equal mass, and the bins themselves."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.methods.uncertainty.confidence_levels import Levels


def calibration_error(levels: Levels, bins: int) -> Floats:
    """ECE of each row of ``levels``: ``Σ_b (n_b / n) |accuracy_b − confidence_b|``, ``(r,)`` in [0, 1], lower is better.

    Guo et al. 2017 (equation 3) with the equal-mass bins of Nixon et al. 2019. Examples of equal confidence share a bin.
    Even a perfectly calibrated classifier scores above 0, by an amount that shrinks with ``n``; hence the null that
    :func:`efficient360.methods.uncertainty.confidence_levels.calibrated` gives.
    """
    cuts = _cuts(levels, bins)
    confidence = _between(cuts, levels.counts * levels.confidence)
    hits = _between(cuts, levels.hits)
    error: Floats = np.clip(np.abs(confidence - hits).sum(axis=1) / levels.n, 0.0, 1.0)
    return error


@final
@dataclass(frozen=True)
class Bin:
    """One non-empty bin of a reliability diagram.

    Args:
        count: Number of examples, at least 1.
        hits: How many were right.
        confidence: Their mean confidence, in [0, 1].
    """

    count: int
    hits: int
    confidence: float


def reliability(levels: Levels, bins: int) -> list[Bin]:
    """The bins behind :func:`calibration_error` of one row, by ascending confidence, empty ones left out."""
    cuts = _cuts(levels, bins)
    counts, hits, confidence = (_between(cuts, values)[0] for values in (levels.counts, levels.hits, levels.counts * levels.confidence))
    return [Bin(int(n), int(h), min(1.0, float(c) / int(n))) for n, h, c in zip(counts, hits, confidence, strict=True) if n]


def _cuts(levels: Levels, bins: int) -> NDArray[np.intp]:
    """Where bins begin and end, as level indices ``(r, bins + 1)``: before the level that holds example ``⌊b n / bins⌋`` in ascending order."""
    if bins < 1:
        raise ValueError(f"{bins} bins")
    positions = np.arange(1, bins) * levels.n // bins
    inner = [np.searchsorted(row, positions, side="right") for row in np.cumsum(levels.counts, axis=1)]
    return np.pad(np.array(inner, dtype=np.intp), ((0, 0), (1, 1)), constant_values=(0, len(levels.confidence)))


def _between(cuts: NDArray[np.intp], values: NDArray[Any]) -> NDArray[Any]:
    """Sums of ``values`` ``(r, m)`` between neighbouring cuts, ``(r, bins)``."""
    running = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
    rows = max(len(cuts), len(values))
    ends = np.take_along_axis(np.broadcast_to(running, (rows, running.shape[1])), np.broadcast_to(cuts, (rows, cuts.shape[1])), axis=1)
    return np.diff(ends, axis=1)
