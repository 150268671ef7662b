"""Whether confidence overstates accuracy for one group more than for another."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.methods.fairness.comparison import Answers, Comparison
from efficient360.methods.fairness.draws import permuted, resampled


@final
@dataclass(frozen=True)
class Overconfidence(Comparison):
    """Mean confidence less accuracy of each group.

    Unlike a calibration error by group it is no larger for a small group than for a large one, so that groups compare.
    """

    summaries: ClassVar[tuple[str, ...]] = ("",)
    largest: ClassVar[float] = 2.0
    answers: Answers

    @cached_property
    def residual(self) -> Floats:
        """Confidence less right or wrong of each example, ``(n,)`` in [−1, 1]."""
        residual: Floats = self.answers.confidence - self.answers.correct
        return residual

    def observed(self) -> Floats:
        return self._means(self.residual[None])

    def null(self, draws: int, rng: np.random.Generator) -> Floats:
        return self._means(self.residual[permuted(len(self.answers), draws, rng)])

    def resampled(self, draws: int, rng: np.random.Generator) -> Floats:
        return self._means(self.residual[resampled(self.answers.codes, draws, rng)])

    def _means(self, residuals: Floats) -> Floats:
        starts = np.cumsum(self.answers.sizes) - self.answers.sizes
        means: Floats = (np.add.reduceat(residuals, starts, axis=1) / self.answers.sizes)[:, :, None]
        return means

    def gaps(self, rates: Floats) -> Floats:
        spread: Floats = rates.max(axis=1) - rates.min(axis=1)
        return spread

    @property
    def width(self) -> int:
        return len(self.answers)
