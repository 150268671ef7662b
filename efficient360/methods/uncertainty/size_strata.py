"""Coverage among small and among large sets: whether a set's size tells how sure one may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Interval
from efficient360.core.permutation_null import centred
from efficient360.core.statistics import percentiles
from efficient360.methods.uncertainty.prediction_sets import Sets

ENDS: Final = (1, 3, 10, 100, 1000)
"""Largest size in each stratum but the last (as in the tables of Angelopoulos et al. 2021)."""


@final
@dataclass(frozen=True)
class Violation:
    """How far coverage strays from what was asked, in the stratum where it strays farthest.

    Args:
        names: Sizes in each stratum that is large enough.
        sizes: Examples in each, ``(J,)``; one that falls into several over the splits counts in parts.
        coverages: Coverage of each, ``(J,)``.
        value: The violation.
        interval: Of the value.
        chance: What chance gives sets that cover alike at every size.
        chance_interval: Holds 95 % of the draws behind ``chance``.
    """

    names: tuple[str, ...]
    sizes: Floats
    coverages: Floats
    value: float
    interval: Interval
    chance: float
    chance_interval: Interval


def violation(of: Sets, minimum: int, weights: Floats, rng: np.random.Generator) -> Violation | None:
    """Size-stratified coverage violation over strata of at least ``minimum`` examples, all splits together; ``None`` where there is none.

    Args:
        of: The sets.
        minimum: Examples that a stratum needs.
        weights: How often each example is drawn, ``(r, n)``, behind the interval.
        rng: For the null.
    """
    stratum = np.searchsorted(ENDS, of.sizes)
    inside = np.stack([of.share(stratum == j) for j in range(len(ENDS) + 1)], axis=1)  # (n, J)
    covered = np.stack([of.share((stratum == j) & of.covered) for j in range(len(ENDS) + 1)], axis=1)
    chosen = np.flatnonzero(inside.sum(axis=0) >= minimum)
    if not len(chosen):
        return None
    inside, covered = inside[:, chosen], covered[:, chosen]
    sizes, coverages = inside.sum(axis=0), covered.sum(axis=0) / inside.sum(axis=0)
    value = float(np.abs(coverages - (1 - of.alpha)).max())
    counts = np.rint(sizes).astype(np.int64)
    null = np.abs(rng.binomial(counts, 1 - of.alpha, (len(weights), len(chosen))) / counts - (1 - of.alpha)).max(axis=1)
    drawn = (weights @ covered) / np.maximum(weights @ inside, 1e-9)
    return Violation(
        tuple(_name(int(j)) for j in chosen),
        sizes,
        coverages,
        value,
        centred(value, np.abs(drawn - (1 - of.alpha)).max(axis=1), 0.0, 1.0),
        float(null.mean()),
        percentiles(null, "binomial-draws"),
    )


def _name(stratum: int) -> str:
    starts: Sequence[int] = (0, *(end + 1 for end in ENDS))
    return f"{starts[stratum]}–{ENDS[stratum]}" if stratum < len(ENDS) else f"over {ENDS[-1]}"
