"""Split conformal prediction: which examples calibrate, and what threshold they give."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.core.arrays import Floats
from efficient360.core.seeding import generators


@final
@dataclass(frozen=True)
class Splits:
    """Random halves, or other shares, of the examples.

    Args:
        calibrating: Whether an example calibrates, bool ``(n, S)``; the others are tested.
        chance: A number in [0, 1) of each example's own, ``(n,)``, for randomised scores.
    """

    calibrating: NDArray[np.bool_]
    chance: Floats

    @property
    def tested(self) -> NDArray[np.bool_]:
        """Whether an example is tested, bool ``(n, S)``."""
        return ~self.calibrating

    @property
    def number(self) -> int:
        """How many splits."""
        return int(self.calibrating.shape[1])

    @property
    def size(self) -> int:
        """Examples that calibrate."""
        return int(np.count_nonzero(self.calibrating[:, 0]))


def splits(ids: Sequence[str], number: int, share: float, seed: int) -> Splits:
    """Draw splits that hang on the seed and the ids, not on the order of examples.

    They are not stratified: the coverage of a conformal set follows its law only where any example is as likely to calibrate as any other.

    Args:
        ids: Of the examples, at least 2.
        number: How many splits.
        share: Share of the examples that calibrates; at least one does, and one does not.
        seed: Same seed, same splits.
    """
    drawn = np.stack([generator.random(1 + number) for generator in generators("conformal", ids, seed)])
    size = min(max(1, round(share * len(ids))), len(ids) - 1)
    place = np.argsort(np.argsort(drawn[:, 1:], axis=0, kind="stable"), axis=0, kind="stable")
    return Splits(place < size, drawn[:, 0])


def rank_of(calibrating: int, alpha: float) -> int:
    """``⌈(n + 1)(1 − α)⌉``: which of ``n`` ordered calibration scores is the threshold; ``n + 1`` where there are too few of them for any.

    Vovk, Gammerman & Shafer 2005; the finite-sample quantile of Angelopoulos & Bates 2023.
    """
    # Written so that rounding of (n + 1) α, when it is a whole number, moves nothing.
    return calibrating + 1 - math.floor((calibrating + 1) * alpha + 1e-9)


def threshold(scores: Floats, alpha: float) -> float:
    """The threshold of calibration scores ``(n,)``: a class whose score does not exceed it is in the set. Infinite where there are too few."""
    rank = rank_of(len(scores), alpha)
    return math.inf if rank > len(scores) else float(np.partition(scores, rank - 1)[rank - 1])


def coverage_law(calibrating: int, tested: int, alpha: float) -> Any:
    """How many of ``tested`` examples a split covers when all are exchangeable and no scores are equal.

    Coverage given the calibration part is Beta(k, n + 1 − k) with ``k`` of :func:`rank_of` (Vovk 2012), so the count is beta-binomial.
    """
    rank = rank_of(calibrating, alpha)
    return stats.betabinom(tested, rank, calibrating + 1 - rank)
