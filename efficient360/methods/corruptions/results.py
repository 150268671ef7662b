"""What follows from right and wrong under every corruption and severity: means, mean corruption errors, and their figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Heatmap
from efficient360.methods.corruptions.reference import Reference

Floats = NDArray[np.float64]


@final
@dataclass(frozen=True)
class Results:
    """Whether each example was right.

    Args:
        clean: Without corruption, ``(n,)``.
        right: By corruption, in order: ``(severities, n)``.
        severities: In order.
    """

    clean: Floats
    right: Mapping[str, Floats]
    severities: tuple[int, ...]

    def accuracy(self) -> Floats:
        """Each example's mean over corruptions and severities, ``(n,)``."""
        return _mean([cells.mean(axis=0) for cells in self.right.values()])

    def relative_error(self) -> Floats:
        """Each example's mean error beyond its clean error, ``(n,)``; its mean is the mean corruption error less the clean error."""
        return self.clean - self.accuracy()

    def mce(self, of: Reference) -> Floats:
        """Each example's part in the mean corruption error, ``(n,)``, whose mean it is.

        Every corruption's error is divided by the reference's before the mean over corruptions (Hendrycks & Dietterich 2019). Sums
        over the same severities stand above and below, so means over them do.
        """
        return _mean([(1 - cells.mean(axis=0)) / of.errors[name] for name, cells in self.right.items()])

    def relative_mce(self, of: Reference) -> Floats:
        """The same of errors beyond the clean error, above and below, ``(n,)``."""
        return _mean([(self.clean - cells.mean(axis=0)) / (of.errors[name] - of.clean) for name, cells in self.right.items()])

    def heatmap(self) -> Heatmap:
        """Accuracy by corruption and severity, the clean images first."""
        clean = float(self.clean.mean())
        values = tuple((clean, *(float(cell.mean()) for cell in cells)) for cells in self.right.values())
        columns = ("clean", *map(str, self.severities))
        return Heatmap("Accuracy by corruption and severity", "severity", "corruption", columns, tuple(name.replace("_", " ") for name in self.right), values)


def _mean(rows: list[Floats]) -> Floats:
    mean: Floats = np.mean(rows, axis=0)
    return mean
