"""Metrics of out-of-distribution detection, AUROC, AUPR and FPR95, for every bootstrap resample at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.core.arrays import Floats
from efficient360.core.measurement import ONE, Better, Interval, Metric
from efficient360.core.statistics import clopper_pearson, percentiles
from efficient360.methods.uncertainty.bootstrap import ResampleCounts

AUROC = Metric(
    "auroc",
    ONE,
    Better.HIGHER,
    "Probability that an in-distribution image scores higher than an out-of-distribution one, ties counting half; 50 % is chance.",
    "Hendrycks & Gimpel 2017",
    low=0,
    high=1,
)
AUPR = Metric(
    "aupr",
    ONE,
    Better.HIGHER,
    "Average precision of detecting out-of-distribution images, both classes weighted equally; 50 % is chance.",
    "Hendrycks & Gimpel 2017 (abnormal class positive), both classes weighted equally",
    low=0,
    high=1,
)
FPR95 = Metric(
    "fpr95",
    ONE,
    Better.LOWER,
    "Share of out-of-distribution images accepted at the threshold that accepts 95 % of in-distribution images; 95 % is chance.",
    "Liang, Li & Srikant 2018, section 4.3",
    low=0,
    high=1,
)

TPR: Final = 0.95
"""Share of in-distribution images accepted at the threshold where the false positive rate is read."""
CHUNK: Final = 500_000
"""Resampled examples held at a time: about 20 MB with everything computed from them."""


@final
@dataclass(frozen=True)
class DetectionMetrics:
    """Detection metrics of ``r`` resamples.

    Args:
        auroc: Probability that an in-distribution image outscores an out-of-distribution one, ties counting half, ``(r,)`` in [0, 1] (Mann & Whitney 1947).
        aupr: Average precision with out-of-distribution as the positive class, both classes weighted equally, ``(r,)`` in [0, 1]; 0.5 is chance.
        fpr95: Share of out-of-distribution images accepted at the threshold that accepts 95 % of in-distribution images, ``(r,)`` in [0, 1]
            (Liang, Li & Srikant 2018, section 4).
    """

    auroc: Floats
    aupr: Floats
    fpr95: Floats


def with_refits(metrics: DetectionMetrics, refits: Sequence[DetectionMetrics], rng: np.random.Generator) -> DetectionMetrics:
    """Resamples of the scored images that also carry the choice of the training images a detector was fitted on.

    A refit on resampled training images shifts a metric for all scored images at once; each resample gets the shift of one refit. Shifts are centred: a
    resampled bank holds two thirds of the images, which lowers every metric a little.

    Args:
        metrics: Of the sample first, then of every resample, under the detector itself, ``(1 + r,)`` each.
        refits: Metrics of the sample under each refit, ``(1,)`` each; none changes nothing.
        rng: Which refit belongs to which resample: the same for every data set, so that means over data sets stay paired.
    """
    if len(refits) < 2:
        return metrics
    picked = rng.integers(0, len(refits), len(metrics.auroc) - 1)
    return DetectionMetrics(
        *(
            _shifted(own, np.concatenate(shifts), picked)
            for own, shifts in (
                (metrics.auroc, [m.auroc for m in refits]),
                (metrics.aupr, [m.aupr for m in refits]),
                (metrics.fpr95, [m.fpr95 for m in refits]),
            )
        )
    )


def _shifted(own: Floats, shifts: Floats, picked: NDArray[np.int64]) -> Floats:
    # Few refits: their spread is estimated, as that behind a t quantile is.
    few = float(stats.t.ppf(0.975, len(shifts) - 1) / stats.norm.ppf(0.975)) * float(np.sqrt(len(shifts) / (len(shifts) - 1)))
    shift = few * (shifts - shifts.mean())
    shifted: Floats = np.concatenate([own[:1], np.clip(own[1:] + shift[picked], 0, 1)])
    return shifted


def detection_metrics(id_scores: Floats, ood_scores: Floats, id_counts: ResampleCounts, ood_counts: ResampleCounts) -> DetectionMetrics:
    """AUROC, AUPR and FPR95 of each of ``r`` resamples.

    Args:
        id_scores: Scores of in-distribution images, finite, ``(m,)``; higher is more in-distribution.
        ood_scores: Scores of out-of-distribution images, ``(n,)``.
        id_counts: How often each in-distribution image was drawn, ``(r, m)``; for the sample itself:
            :func:`efficient360.methods.uncertainty.bootstrap.original_sample`.
        ood_counts: Likewise for out-of-distribution images, ``(r, n)``.
    """
    scores = np.concatenate([id_scores, ood_scores]).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    tie_ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    rows, resamples = max(1, CHUNK // len(scores)), len(id_counts)
    chunks = [_chunk_metrics(id_counts[i : i + rows], ood_counts[i : i + rows], order, tie_ends) for i in range(0, resamples, rows)]
    return DetectionMetrics(*(np.concatenate(column) for column in zip(*chunks, strict=True)))


def _chunk_metrics(id_counts: ResampleCounts, ood_counts: ResampleCounts, order: NDArray[np.intp], tie_ends: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """AUROC, AUPR and FPR95 ``(r,)`` from counts; ``order`` is by descending score, ``tie_ends`` the last positions of equal scores."""
    counts = np.concatenate([id_counts, ood_counts], axis=1, dtype=np.float64)[:, order]
    tpr = _cumulative_share(counts * (order < id_counts.shape[1]), tie_ends)
    fpr = _cumulative_share(counts * (order >= id_counts.shape[1]), tie_ends)
    auroc = (np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1])).sum(axis=1) / 2
    # With out-of-distribution as the positive class the ranking is read from below: whatever a threshold rejects is detected.
    detected, false_alarms = 1 - fpr[:, :-1], 1 - tpr[:, :-1]
    precision = detected / np.maximum(detected + false_alarms, np.finfo(np.float64).tiny)
    aupr = (np.diff(fpr, axis=1) * precision).sum(axis=1)
    threshold = np.argmax(tpr >= TPR - 1e-12, axis=1)
    fpr95 = np.take_along_axis(fpr, threshold[:, None], axis=1)[:, 0]
    return np.clip(auroc, 0, 1), np.clip(aupr, 0, 1), np.clip(fpr95, 0, 1)


def _cumulative_share(counts: Floats, tie_ends: NDArray[np.intp]) -> Floats:
    """Share of the counted images that score at least each distinct score, ``(r, distinct + 1)``, from 0 to 1."""
    cumulative = np.cumsum(counts, axis=1)
    return np.pad(cumulative[:, tie_ends] / cumulative[:, -1:], ((0, 0), (1, 0)))


def detection_interval(value: float, draws: Floats, pairs: int) -> Interval:
    """Bootstrap percentiles; where no resample differs, as under perfect separation, an exact binomial interval over disjoint pairs.

    Pairs of one image from each side that share no image are independent, so their number bounds the probability of a pair in the wrong order
    (Clopper & Pearson 1934).

    Args:
        value: The metric on the sample itself.
        draws: The metric on its resamples, ``(r,)``.
        pairs: Images on the smaller side.
    """
    interval = percentiles(draws, "bootstrap") if np.ptp(draws) > 0 else clopper_pearson(round(value * pairs), pairs)
    return Interval(min(interval.low, value), max(interval.high, value), interval.method)
