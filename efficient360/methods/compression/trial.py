"""A variant tried: its size, its work and its answers."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Interval, Measurement, Outcome
from efficient360.core.statistics import newcombe_paired, wilson
from efficient360.methods.compression import metrics
from efficient360.methods.compression.compressor import Compressor, conditions_of

Flags = NDArray[np.bool_]


@final
@dataclass(frozen=True)
class Trial:
    """What came of one compressor.

    Args:
        compressor: What was done.
        bytes: Of the file that holds the result.
        ratio: Bytes of the original in float32 over these.
        macs_ratio: Multiply-adds of the original over those of the result; 1 where it computes as much, ``None`` where they can't be counted.
        right: Whether the result answers each image rightly, ``(n,)``.
        same: Whether it gives the original's answer, ``(n,)``.
        before: Whether the original answers each image rightly, ``(n,)``.
    """

    compressor: Compressor
    bytes: int
    ratio: float
    macs_ratio: float | None
    right: Flags
    same: Flags
    before: Flags

    @property
    def accuracy(self) -> float:
        """Share of the images answered rightly, in [0, 1]."""
        return float(self.right.mean())

    @property
    def accuracy_interval(self) -> Interval:
        """Of :attr:`accuracy`."""
        return wilson(int(self.right.sum()), len(self.right))

    @property
    def accuracy_before(self) -> float:
        """The original's, in [0, 1]."""
        return float(self.before.mean())

    @property
    def change(self) -> float:
        """Accuracy less the original's, in [-1, 1]."""
        return self.accuracy - self.accuracy_before

    @cached_property
    def change_interval(self) -> Interval:
        """Of :attr:`change`, in pairs."""
        counts = (self.right & self.before, self.right & ~self.before, ~self.right & self.before, ~self.right & ~self.before)
        return newcombe_paired(*(int(flags.sum()) for flags in counts))

    @property
    def discordance(self) -> float:
        """Share of the images that only one of the two answers rightly."""
        return float((self.right != self.before).mean())

    def measurements(self) -> list[Outcome]:
        """Its numbers."""
        n, given = len(self.right), conditions_of(self.compressor)
        found: list[Outcome] = [
            Measurement(metrics.RATIO, self.ratio, conditions=given),
            Measurement(metrics.BYTES, self.bytes, conditions=given),
            Measurement(metrics.ACCURACY, self.accuracy, n, self.accuracy_interval, given),
            Measurement(metrics.CHANGE, self.change, n, self.change_interval, given),
            Measurement(metrics.SAME, float(self.same.mean()), n, wilson(int(self.same.sum()), n), given),
        ]
        if self.macs_ratio is not None and self.macs_ratio != 1:
            found.append(Measurement(metrics.MACS_RATIO, self.macs_ratio, conditions=given))
        return found
