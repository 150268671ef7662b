"""Whether confidence overstates accuracy for one group more than for another."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import numpy as np

from efficient360.quality.confidence_levels import Floats
from efficient360.quality.fairness.comparison import Answers, Comparison
from efficient360.quality.fairness.draws import Integers


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

    def rates(self, drawn: Integers) -> Floats:
        starts = np.cumsum(self.answers.sizes) - self.answers.sizes
        rates: Floats = (np.add.reduceat(self.residual[drawn], starts, axis=1) / self.answers.sizes)[:, :, None]
        return rates

    def gaps(self, rates: Floats) -> Floats:
        spread: Floats = rates.max(axis=1) - rates.min(axis=1)
        return spread

    @property
    def exchangeable(self) -> Integers:
        return np.zeros(len(self.answers), dtype=np.int64)

    @property
    def replaceable(self) -> Integers:
        return self.answers.codes

    @property
    def width(self) -> int:
        return len(self.answers)
