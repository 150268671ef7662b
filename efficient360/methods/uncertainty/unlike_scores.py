"""A detector's scores on one set or several, and the measurements that follow from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Figure
from efficient360.core.measurement import Conditions, Measurement, Metric
from efficient360.core.seeding import generators
from efficient360.methods.uncertainty.nearness import Kind
from efficient360.methods.uncertainty.resampling import Counts, resampled, sample
from efficient360.methods.uncertainty.separation import Separation, separation, spread
from efficient360.methods.uncertainty.unlike_metrics import AUPR, AUROC, FPR95


@final
@dataclass(frozen=True)
class Draws:
    """Resamples of the in-distribution images, the same for every detector and set, so that means over sets and differences are of the same draws.

    Args:
        counts: How often each image was drawn, ``(1 + r, m)``; the first row is the sample itself.
        seed: Of the resamples of other sets.
    """

    counts: Counts
    seed: int

    def of(self, name: str, n: int) -> Counts:
        """Resamples of the ``n`` images of another set, ``(1 + r, n)``."""
        return _with_sample(n, len(self.counts) - 1, name, self.seed)


def draws(m: int, resamples: int, seed: int) -> Draws:
    """Resamples of ``m`` in-distribution images."""
    return Draws(_with_sample(m, resamples, "in distribution", seed), seed)


def _with_sample(n: int, resamples: int, name: str, seed: int) -> Counts:
    (rng,) = generators("resamples", [name], seed)
    return np.concatenate([sample(n), resampled(n, resamples, rng)])


@final
@dataclass(frozen=True)
class Scored:
    """One detector on one set.

    Args:
        detector: Its name.
        unlike: Name of the set.
        kind: Near or far.
        inside: Scores of in-distribution images, ``(m,)``.
        outside: Scores of the set, ``(n,)``.
        found: Its measures: of the sample first, then of every resample.
    """

    detector: str
    unlike: str
    kind: Kind
    inside: Floats
    outside: Floats
    found: Separation

    @property
    def conditions(self) -> Conditions:
        """What its measurements carry."""
        return {"detector": self.detector, "set": self.unlike, "kind": str(self.kind)}

    def measurements(self) -> Iterator[Measurement]:
        """AUROC, AUPR and FPR95."""
        for metric, values in ((AUROC, self.found.auroc), (AUPR, self.found.aupr), (FPR95, self.found.fpr95)):
            yield _measurement(metric, values, [self], self.conditions)


def scored(detector: str, unlike: str, kind: Kind, inside: Floats, outside: Floats, on: Draws) -> Scored:
    """One detector on one set, with its measures."""
    return Scored(detector, unlike, kind, inside, outside, separation(inside, outside, on.counts, on.of(unlike, len(outside))))


def means(over: str, of: Sequence[Scored], figures: Sequence[Figure] = ()) -> Iterator[Measurement]:
    """Mean AUROC and FPR95 of one detector over sets, each set counting the same.

    Args:
        over: What the sets are called together.
        of: At least one.
        figures: Drawn beside the AUROC.
    """
    conditions = {"detector": of[0].detector, "over": over}
    yield _measurement(AUROC, np.mean([one.found.auroc for one in of], axis=0), of, conditions, figures)
    yield _measurement(FPR95, np.mean([one.found.fpr95 for one in of], axis=0), of, conditions)


def _measurement(metric: Metric, values: Floats, of: Sequence[Scored], conditions: Conditions, figures: Sequence[Figure] = ()) -> Measurement:
    m, sizes = len(of[0].inside), [len(one.outside) for one in of]
    interval = spread(float(values[0]), values[1:], min(m, *sizes))
    return Measurement(metric, float(values[0]), m + sum(sizes), interval, conditions, extra=tuple(figures))
