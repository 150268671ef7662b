"""A calibration error of each of several parts (classes, groups), and what of their mean and of the worst is more than chance."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Interval
from efficient360.core.permutation_null import centred


@final
@dataclass(frozen=True)
class Excess:
    """A calibration error less what a calibrated model of the same probabilities shows, about 0 when calibrated, with its interval."""

    value: float
    interval: Interval


@final
@dataclass(frozen=True)
class PartErrors:
    """The calibration errors of the parts.

    Args:
        names: Name of each part.
        sizes: Examples of each that the error rests on, int64 ``(P,)``.
        values: Error of each, ``(P,)`` in [0, 1].
        gaps: Mean probability less frequency of each, ``(P,)``: above 0 it claims more than it delivers.
        null: Errors that a calibrated model of the same probabilities shows, ``(r, P)``.
        resampled: Errors of resampled examples, ``(s, P)``.
    """

    names: tuple[str, ...]
    sizes: Floats
    values: Floats
    gaps: Floats
    null: Floats
    resampled: Floats

    @cached_property
    def chance(self) -> Floats:
        """Mean error of a calibrated model by part, ``(P,)``: small parts show more."""
        chance: Floats = self.null.mean(axis=0)
        return chance

    @cached_property
    def excesses(self) -> Floats:
        """Error beyond chance of each part, ``(P,)``."""
        excesses: Floats = self.values - self.chance
        return excesses

    def mean(self) -> Excess:
        """The mean error, every part counting the same."""
        value = float(self.values.mean())
        return Excess(value, centred(value, self.resampled.mean(axis=1), 0.0, 1.0))

    def mean_excess(self) -> Excess:
        """The mean error less its chance."""
        value = float(self.excesses.mean())
        return Excess(value, centred(value, self.resampled.mean(axis=1), -1.0, 1.0))

    def worst_excess(self) -> Excess:
        """The largest excess of any part, less the largest that chance gives: the largest of many would lie above 0 though each lay there on average."""
        lifted = float((self.null - self.chance).max(axis=1).mean())
        value = float(self.excesses.max()) - lifted
        return Excess(value, centred(value, (self.resampled - self.chance).max(axis=1), -1.0, 1.0))

    @property
    def order(self) -> list[int]:
        """Parts by excess, largest first."""
        return [int(i) for i in np.argsort(-self.excesses, kind="stable")]
