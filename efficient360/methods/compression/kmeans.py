"""k-means of numbers on a line, by Lloyd's method on sorted values: clusters are stretches, and their means differences of prefix sums."""

from typing import Final, final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROUNDS: Final = 300
"""The most steps of Lloyd's, and the most centres that are moved; both end by themselves long before."""
CELLS: Final = 16
"""Quantiles a cluster in which the density of the values is taken."""
GAIN: Final = 1e-6
"""Share of the error by which moving a centre must win to go on."""


def centres_of(values: Floats, clusters: int) -> Floats:
    """Centres of at most ``clusters`` clusters, ascending, float64: a minimum of the mean squared distance to the nearest of them.

    Lloyd 1982, begun where the density of centres is the cube root of that of the values, which is best for many centres (Panter & Dite 1951); then the
    centre that is missed least is moved to where the error is largest for as long as that wins (LBG-U, Fritzke 1997). Nothing is drawn: the same values
    give the same centres.

    Args:
        values: Flat, at least one.
        clusters: At least 1; with no more distinct values than that, these are the centres.
    """
    ordered = np.sort(values.astype(np.float64))
    distinct = ordered[np.diff(ordered, prepend=-np.inf) > 0]
    if len(distinct) <= clusters:
        return distinct
    line = _Line(ordered)
    found = line.settled(_begun(ordered, clusters))
    for _ in range(ROUNDS if clusters > 2 else 0):
        moved = line.settled(line.relocated(found))
        if not line.errors(moved).sum() < (1 - GAIN) * line.errors(found).sum():
            break
        found = moved
    return found


def nearest(values: Floats, centres: Floats) -> NDArray[np.int64]:
    """Number of the nearest centre of each value; of two as near, the higher."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values, side="right")


@final
class _Line:
    """Sorted values, whose clusters are stretches."""

    def __init__(self, ordered: Floats) -> None:
        self.ordered = ordered
        self._sums = np.concatenate([[0.0], np.cumsum(ordered)])
        self._squares = np.concatenate([[0.0], np.cumsum(np.square(ordered))])

    def settled(self, centres: Floats) -> Floats:
        """Centres that are the means of their own values, reached from others."""
        for _ in range(ROUNDS):
            counts, sums, _ = self._stretches(centres)
            moved = np.sort(np.where(counts > 0, sums / np.maximum(counts, 1), centres))
            if np.array_equal(moved, centres):
                break
            centres = moved
        return centres

    def errors(self, centres: Floats) -> Floats:
        """Squared distances of each cluster's values to their mean, added up."""
        return _error(*self._stretches(centres))

    def relocated(self, centres: Floats) -> Floats:
        """The two neighbours that are best joined made one, and the worst of the others two."""
        counts, sums, squares = self._stretches(centres)
        errors = _error(counts, sums, squares)
        both, sums_of_both = counts[1:] + counts[:-1], sums[1:] + sums[:-1]
        rise = _error(both, sums_of_both, squares[1:] + squares[:-1]) - errors[1:] - errors[:-1]
        joined = int(rise.argmin())
        others = errors.copy()
        others[joined : joined + 2] = -1
        worst = int(others.argmax())
        half = np.sqrt(max(errors[worst], 0.0) / max(counts[worst], 1))
        kept = np.delete(centres, [joined, joined + 1, worst])
        return np.sort(np.concatenate([kept, [sums_of_both[joined] / max(both[joined], 1), centres[worst] - half, centres[worst] + half]]))

    def _stretches(self, centres: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Count, sum and sum of squares of each cluster."""
        edges = np.concatenate([[0], np.searchsorted(self.ordered, (centres[1:] + centres[:-1]) / 2), [len(self.ordered)]])
        return np.diff(edges), np.diff(self._sums[edges]), np.diff(self._squares[edges])


def _error(counts: NDArray[np.int64], sums: Floats, squares: Floats) -> Floats:
    found: Floats = squares - np.square(sums) / np.maximum(counts, 1)
    return found


def _begun(ordered: Floats, clusters: int) -> Floats:
    """As many centres in each cell of values as the cube root of its density times its width."""
    edges = np.quantile(ordered, np.linspace(0, 1, min(len(ordered) - 1, CELLS * clusters) + 1))
    mass = np.concatenate([[0.0], np.cumsum(np.cbrt(np.square(np.diff(edges))))])
    begun: Floats = np.interp((np.arange(clusters) + 0.5) / clusters * mass[-1], mass, edges)
    return begun
