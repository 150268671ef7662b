"""Distance to the nearest training images on the unit sphere of features."""

from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.core.arrays import Floats

HELD = 4_000_000
"""Distances held at a time."""


@final
@dataclass(frozen=True)
class Neighbours:
    """Training images to be near to.

    Args:
        directions: Their features at length 1, ``(n, D)``.
        k: Which nearest one counts, from 1 to ``n``.
    """

    directions: Floats
    k: int

    def score(self, features: Floats) -> Floats:
        """Negative distance of the directions of features ``(m, D)`` to their ``k``-th nearest training image, ``(m,)`` in [−2, 0] (Sun et al. 2022)."""
        directions, rows = _directions(features), max(1, HELD // len(self.directions))
        parts = [self._cosines(directions[i : i + rows]) for i in range(0, len(directions), rows)]
        distances: Floats = np.sqrt(np.maximum(0.0, 2 - 2 * np.concatenate(parts)))
        return -distances

    def _cosines(self, directions: Floats) -> Floats:
        place = len(self.directions) - self.k
        found: Floats = np.partition(directions @ self.directions.T, place, axis=1)[:, place]
        return found


def fit_neighbours(features: Floats, k: int) -> Neighbours:
    """The training images that distances go to; of fewer than ``k`` the farthest counts.

    Args:
        features: Of training images, ``(n, D)``.
        k: Which nearest one counts. Sun et al. 2022 take about one in a thousand training images.
    """
    return Neighbours(_directions(features), min(k, len(features)))


def _directions(features: Floats) -> Floats:
    wide = features.astype(np.float64)
    found: Floats = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return found
