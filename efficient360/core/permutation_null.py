"""A statistic against the values that chance alone gives it: how far beyond, and how probable."""

from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Interval
from efficient360.core.statistics import clopper_pearson

ROUNDING = 1e-12


@final
@dataclass(frozen=True)
class Beyond:
    """A statistic, larger when worse, against its null distribution.

    Args:
        value: The statistic.
        chance: Mean of the null draws: what a statistic that is never negative shows though nothing is there.
        reached: How many null draws are at least ``value``.
        draws: How many null draws there are.
    """

    value: float
    chance: float
    reached: int
    draws: int

    @property
    def excess(self) -> float:
        """The statistic less its mean under the null; about 0 where there is nothing."""
        return self.value - self.chance

    @property
    def p_value(self) -> float:
        """Monte Carlo p-value, never 0: the statistic counts among its own draws (Phipson & Smyth 2010, equation 2)."""
        return (self.reached + 1) / (self.draws + 1)

    def p_interval(self, adjusted: float) -> Interval:
        """Clopper–Pearson interval of the p-value that ever more draws would give, scaled as ``adjusted`` is to ``p_value``."""
        exact, factor = clopper_pearson(self.reached, self.draws), adjusted / self.p_value
        return Interval(min(exact.low * factor, adjusted), min(1.0, max(exact.high * factor, adjusted)), "clopper-pearson")


def beyond(value: float, null: Floats) -> Beyond:
    """A statistic against null draws ``(draws,)``, at least one; draws that differ from it by rounding only count as equal."""
    reached = int((null >= value - ROUNDING * max(1.0, abs(value))).sum())
    return Beyond(value, float(null.mean()), reached, len(null))


def centred(value: float, draws: Floats, low: float, high: float) -> Interval:
    """Spread of bootstrapped statistics, centred on ``value`` and cut to ``[low, high]``.

    A resample is noisier than the sample, so the statistics of resamples are biased upwards once more; only their spread is used.
    """
    lower, upper = np.quantile(draws - draws.mean(), (0.025, 0.975))
    return Interval(min(value, max(low, value + float(lower))), max(value, min(high, value + float(upper))), "centred-bootstrap")
