"""A compressed variant's size, work and accuracy against the original's, and the smallest variant within a tolerated loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Figure
from efficient360.core.measurement import Interval, Measurement, Outcome
from efficient360.core.statistics import newcombe_paired, percentiles_around, wilson
from efficient360.methods.compression import metrics
from efficient360.methods.compression.compressor import Compressor, conditions_of

Flags = NDArray[np.bool_]
EPSILON = 1e-9
"""Smaller than any difference between two shares of examples."""


@final
@dataclass(frozen=True)
class VariantResult:
    """What was measured of one compressed variant.

    Args:
        compressor: With its strength.
        bytes: Of the file that holds the compressed network.
        ratio: Bytes of the original in float32 over these.
        macs_ratio: MACs of the original over those of the compressed network; 1 where it computes as much, ``None`` where they can't be counted.
        correct: Whether the compressed network classifies each image correctly, ``(n,)``.
        agrees: Whether it predicts the original's class, ``(n,)``.
        correct_before: Whether the original classifies each image correctly, ``(n,)``.
    """

    compressor: Compressor
    bytes: int
    ratio: float
    macs_ratio: float | None
    correct: Flags
    agrees: Flags
    correct_before: Flags

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy of the compressed network, in [0, 1]."""
        return float(self.correct.mean())

    @property
    def accuracy_interval(self) -> Interval:
        """Of :attr:`accuracy`."""
        return wilson(int(self.correct.sum()), len(self.correct))

    @property
    def accuracy_before(self) -> float:
        """Top-1 accuracy of the original, in [0, 1]."""
        return float(self.correct_before.mean())

    @property
    def change(self) -> float:
        """Accuracy minus the original's, in [-1, 1]."""
        return self.accuracy - self.accuracy_before

    @cached_property
    def change_interval(self) -> Interval:
        """Paired, of :attr:`change`."""
        after, before = self.correct, self.correct_before
        return newcombe_paired(*(int(flags.sum()) for flags in (after & before, after & ~before, ~after & before, ~after & ~before)))

    @property
    def discordance(self) -> float:
        """Share of the images that only one of the two classifies correctly."""
        return float((self.correct != self.correct_before).mean())

    def measurements(self) -> list[Outcome]:
        """All metrics of this variant."""
        n, conditions = len(self.correct), conditions_of(self.compressor)
        outcomes: list[Outcome] = [
            Measurement(metrics.RATIO, self.ratio, conditions=conditions),
            Measurement(metrics.BYTES, self.bytes, conditions=conditions),
            Measurement(metrics.ACCURACY, self.accuracy, n, self.accuracy_interval, conditions),
            Measurement(metrics.CHANGE, self.change, n, self.change_interval, conditions),
            Measurement(metrics.SAME, float(self.agrees.mean()), n, wilson(int(self.agrees.sum()), n), conditions),
        ]
        if self.macs_ratio is not None and self.macs_ratio != 1:
            outcomes.append(Measurement(metrics.MACS_RATIO, self.macs_ratio, conditions=conditions))
        return outcomes


def points(share: float) -> str:
    """A share of accuracy in percentage points: ``1 point``, ``0.5 points``."""
    return f"{100 * share:g} point{'' if share == 0.01 else 's'}"


def smallest_within(results: Sequence[VariantResult], tolerance: float) -> VariantResult | None:
    """The variant with the largest ratio above 1 whose accuracy changed by no less than ``-tolerance``; ``None`` where there is none."""
    within = [result for result in results if result.ratio > 1 and result.change >= -tolerance - EPSILON]
    return max(within, key=lambda result: result.ratio, default=None)


def best_compression(results: Sequence[VariantResult], tolerance: float, resamples: int, seed: Sequence[int], extra: tuple[Figure, ...]) -> Measurement:
    """The ratio of :func:`smallest_within`; 1 where there is none.

    The interval is a paired bootstrap over images, with the variant chosen anew in each resample.

    Args:
        results: At least one, all on the same images.
        tolerance: Share of accuracy that may be lost.
        resamples: Of the images.
        seed: Of the resampling.
        extra: Figures beside the number.
    """
    ratios = np.array([result.ratio for result in results])
    changes = np.stack([result.correct.astype(np.float64) - result.correct_before for result in results])
    n = changes.shape[1]
    best = smallest_within(results, tolerance)
    value = 1.0 if best is None else best.ratio
    # Images on which no variant changed are interchangeable: one multinomial category for all of them.
    changed = changes[:, (changes != 0).any(0)]
    probabilities = np.full(changed.shape[1] + 1, 1 / n)
    probabilities[-1] = 1 - changed.shape[1] / n
    rng = np.random.default_rng(seed)
    resampled = np.stack([changed @ rng.multinomial(n, probabilities)[:-1] for _ in range(resamples)]) / n
    interval = percentiles_around(value, _largest_ratio(ratios, resampled, tolerance), "paired-bootstrap")
    return Measurement(metrics.BEST, value, n, interval, {"tolerated": points(tolerance)}, extra=extra)


def _largest_ratio(ratios: NDArray[np.float64], changes: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """The largest ratio that stays within the tolerance, ``(r,)``, for changes ``(r, variants)``."""
    largest: NDArray[np.float64] = np.where(changes >= -tolerance - EPSILON, np.maximum(ratios, 1.0), 1.0).max(1)
    return largest
