"""How well one score tells in-distribution images from others, at every resample at once."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.measurement import Interval
from efficient360.core.statistics import clopper_pearson, percentiles
from efficient360.methods.uncertainty.resampling import Counts

ACCEPTED: Final = 0.95
"""Share of in-distribution images that a threshold accepts where the false positive rate is read."""
CHUNK: Final = 500_000
"""Resampled examples held at a time: about 20 MB with everything computed from them."""


@final
@dataclass(frozen=True)
class Separation:
    """What tells two sides apart, a value for every resample.

    Args:
        auroc: Chance that an in-distribution image scores higher than another one, ties counting half, ``(r,)`` in [0, 1] (Mann & Whitney 1947).
        aupr: Average precision of finding the others, both sides counting as equally many, ``(r,)`` in [0, 1]; 0.5 is guessing.
        fpr95: Share of the others accepted at the threshold that accepts 95 % of the in-distribution images, ``(r,)`` in [0, 1]
            (Liang, Li & Srikant 2018, section 4).
    """

    auroc: Floats
    aupr: Floats
    fpr95: Floats


def separation(inside: Floats, outside: Floats, drawn_inside: Counts, drawn_outside: Counts) -> Separation:
    """The measures of each of ``r`` resamples.

    Args:
        inside: Scores of in-distribution images, finite, ``(m,)``; higher is more like them.
        outside: Scores of the others, ``(n,)``.
        drawn_inside: How often each in-distribution image was drawn, ``(r, m)``; for the sample itself:
            :func:`efficient360.methods.uncertainty.resampling.sample`.
        drawn_outside: Likewise, ``(r, n)``.
    """
    scores = np.concatenate([inside, outside]).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    rows, width = max(1, CHUNK // len(scores)), len(drawn_inside)
    parts = [_measures(drawn_inside[i : i + rows], drawn_outside[i : i + rows], order, ends) for i in range(0, width, rows)]
    return Separation(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _measures(inside: Counts, outside: Counts, order: NDArray[np.intp], ends: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """AUROC, AUPR and FPR95 ``(r,)`` from counts; ``order`` is by falling score, ``ends`` the last places of equal scores."""
    counts = np.concatenate([inside, outside], axis=1, dtype=np.float64)[:, order]
    hits = _shares(counts * (order < inside.shape[1]), ends)
    alarms = _shares(counts * (order >= inside.shape[1]), ends)
    auroc = (np.diff(alarms, axis=1) * (hits[:, 1:] + hits[:, :-1])).sum(axis=1) / 2
    # The others are found from below: what a threshold does not accept, it names.
    found, wrongly = 1 - alarms[:, :-1], 1 - hits[:, :-1]
    precision = found / np.maximum(found + wrongly, np.finfo(np.float64).tiny)
    aupr = (np.diff(alarms, axis=1) * precision).sum(axis=1)
    enough = np.argmax(hits >= ACCEPTED - 1e-12, axis=1)
    fpr95 = np.take_along_axis(alarms, enough[:, None], axis=1)[:, 0]
    return np.clip(auroc, 0, 1), np.clip(aupr, 0, 1), np.clip(fpr95, 0, 1)


def _shares(counts: Floats, ends: NDArray[np.intp]) -> Floats:
    """Share of the counted that score at least each level, ``(r, levels + 1)``, from 0 to 1."""
    running = np.cumsum(counts, axis=1)
    return np.pad(running[:, ends] / running[:, -1:], ((0, 0), (1, 0)))


def spread(value: float, draws: Floats, pairs: int) -> Interval:
    """Percentiles of ``draws``; where no resample differs, which perfect separation does, what so many disjoint pairs still leave open.

    The pairs of one image of either side with no image in common are independent, so their number bounds the chance of a pair the other way round
    (Clopper & Pearson 1934).

    Args:
        value: The measure on the sample itself.
        draws: Its resamples ``(r,)``.
        pairs: Images of the smaller side.
    """
    found = percentiles(draws, "bootstrap") if np.ptp(draws) > 0 else clopper_pearson(round(value * pairs), pairs)
    return Interval(min(found.low, value), max(found.high, value), found.method)
