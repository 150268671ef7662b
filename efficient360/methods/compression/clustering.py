"""Weight clustering: each weight matrix holds few distinct values, found by one-dimensional k-means, and an index into their table for each weight."""

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError
from efficient360.methods.compression.compressor import CompressedNetwork, Compressor, encode_weights
from efficient360.models.weight_codes import Parts, index_bits, pack_bits

Floats = NDArray[np.float64]
MAX_ITERATIONS: Final = 300
"""Of Lloyd's algorithm, and of relocations of a centre; both converge long before."""
CELLS: Final = 16
"""Quantiles per cluster from which the density of the values is estimated."""
MIN_IMPROVEMENT: Final = 1e-6
"""Relative decrease of the error below which relocating centres stops."""


@final
@dataclass(frozen=True)
class Clustering(Compressor):
    """A table of ``clusters`` float32 values for each weight, found by k-means, and packed indices into it.

    Han, Mao & Dally 2016, Deep Compression, section 3; on vision transformers Tabani et al. 2021, Improving the Efficiency of Transformers for
    Resource-Constrained Devices, who take 64.

    Args:
        clusters: Values in a table, 2 to 256.

    Raises:
        SettingsError: A number of clusters out of this range.
    """

    name: ClassVar[str] = "clustering"
    title: ClassVar[str] = "Weight clustering"
    clusters: int

    def __post_init__(self) -> None:
        if not 2 <= self.clusters <= 256:
            raise SettingsError("bad-strength", f"clustering with {self.clusters} clusters is not offered", "give 2 to 256; 64 is usual")

    @property
    def strength(self) -> Conditions:
        return {"clusters": self.clusters}

    def compress(self, network: nn.Module) -> CompressedNetwork:
        return encode_weights(network, self, self._encode)

    def _encode(self, weight: Tensor) -> Parts:
        values = weight.flatten().double().cpu().numpy()
        # Indices refer to the table as it is stored, in float32.
        table = kmeans(values, self.clusters).astype(np.float32)
        indices = nearest(values, table.astype(np.float64))
        return {"table": torch.from_numpy(table), "indices": pack_bits(torch.from_numpy(indices), index_bits(self.clusters))}


def kmeans(values: Floats, clusters: int) -> Floats:
    """Centres of at most ``clusters`` clusters, ascending, float64: a local minimum of the mean squared distance to the nearest of them.

    Lloyd 1982 on sorted values, where clusters are intervals and their means come from prefix sums. It starts with a density of centres proportional to the
    cube root of the density of the values, which is optimal for many centres (Panter & Dite 1951); then the least useful centre is relocated to where the
    error is largest for as long as that improves the error (LBG-U, Fritzke 1997). Nothing is random: the same values give the same centres.

    Args:
        values: Flat, at least one.
        clusters: At least 1; with no more distinct values than that, these are the centres.
    """
    ordered = np.sort(values.astype(np.float64))
    distinct = ordered[np.diff(ordered, prepend=-np.inf) > 0]
    if len(distinct) <= clusters:
        return distinct
    lloyd = _Lloyd(ordered)
    centres = lloyd.converge(_initial_centres(ordered, clusters))
    for _ in range(MAX_ITERATIONS if clusters > 2 else 0):
        relocated = lloyd.converge(lloyd.relocate(centres))
        if not lloyd.errors(relocated).sum() < (1 - MIN_IMPROVEMENT) * lloyd.errors(centres).sum():
            break
        centres = relocated
    return centres


def nearest(values: Floats, centres: Floats) -> NDArray[np.int64]:
    """Index of the nearest centre of each value; of two at the same distance, the higher."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values, side="right")


@final
class _Lloyd:
    """Lloyd's algorithm on sorted values."""

    def __init__(self, ordered: Floats) -> None:
        self.ordered = ordered
        self._sums = np.concatenate([[0.0], np.cumsum(ordered)])
        self._squares = np.concatenate([[0.0], np.cumsum(np.square(ordered))])

    def converge(self, centres: Floats) -> Floats:
        """Centres that are the means of their own values, reached from others."""
        for _ in range(MAX_ITERATIONS):
            counts, sums, _ = self._intervals(centres)
            moved = np.sort(np.where(counts > 0, sums / np.maximum(counts, 1), centres))
            if np.array_equal(moved, centres):
                break
            centres = moved
        return centres

    def errors(self, centres: Floats) -> Floats:
        """Sum of squared distances of each cluster's values to their mean."""
        return _squared_errors(*self._intervals(centres))

    def relocate(self, centres: Floats) -> Floats:
        """The two neighbours that are cheapest to merge become one centre, and the cluster of largest error among the others becomes two."""
        counts, sums, squares = self._intervals(centres)
        errors = _squared_errors(counts, sums, squares)
        both, sums_of_both = counts[1:] + counts[:-1], sums[1:] + sums[:-1]
        rise = _squared_errors(both, sums_of_both, squares[1:] + squares[:-1]) - errors[1:] - errors[:-1]
        merged = int(rise.argmin())
        others = errors.copy()
        others[merged : merged + 2] = -1
        worst = int(others.argmax())
        half = np.sqrt(max(errors[worst], 0.0) / max(counts[worst], 1))
        kept = np.delete(centres, [merged, merged + 1, worst])
        return np.sort(np.concatenate([kept, [sums_of_both[merged] / max(both[merged], 1), centres[worst] - half, centres[worst] + half]]))

    def _intervals(self, centres: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Count, sum and sum of squares of each cluster."""
        edges = np.concatenate([[0], np.searchsorted(self.ordered, (centres[1:] + centres[:-1]) / 2), [len(self.ordered)]])
        return np.diff(edges), np.diff(self._sums[edges]), np.diff(self._squares[edges])


def _squared_errors(counts: NDArray[np.int64], sums: Floats, squares: Floats) -> Floats:
    errors: Floats = squares - np.square(sums) / np.maximum(counts, 1)
    return errors


def _initial_centres(ordered: Floats, clusters: int) -> Floats:
    """Centres in each quantile cell in proportion to the cube root of its density times its width."""
    edges = np.quantile(ordered, np.linspace(0, 1, min(len(ordered) - 1, CELLS * clusters) + 1))
    mass = np.concatenate([[0.0], np.cumsum(np.cbrt(np.square(np.diff(edges))))])
    centres: Floats = np.interp((np.arange(clusters) + 0.5) / clusters * mass[-1], mass, edges)
    return centres
