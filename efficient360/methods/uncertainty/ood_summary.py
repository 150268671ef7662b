"""What the out-of-distribution evaluator reports: every detector on every data set, means over data sets, warnings, figures and tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.core.figures import Curve, Figure, Series, Table
from efficient360.core.findings import Finding
from efficient360.core.formatting import number
from efficient360.core.measurement import Conditions, Failure, Measurement, Metric, Outcome, Status
from efficient360.core.seeding import generators
from efficient360.methods.uncertainty.bootstrap import ResampleCounts, bootstrap_counts, original_sample
from efficient360.methods.uncertainty.ood_datasets import KNOWN_CLASSES, OodKind
from efficient360.methods.uncertainty.ood_detectors import MSP
from efficient360.methods.uncertainty.ood_metrics import AUPR, AUROC, FPR95, DetectionMetrics, detection_interval, detection_metrics, with_refits

HISTOGRAM_BINS: Final = 30
MAX_SERIES, MAX_ROWS = 5, 14


@final
@dataclass(frozen=True)
class SharedBootstrap:
    """Resamples of the in-distribution images, shared by every detector and data set, so that means over data sets and differences are paired.

    Args:
        id_counts: How often each in-distribution image was drawn, ``(1 + r, m)``; the first row is the sample itself.
        seed: Of the resamples of other data sets.
    """

    id_counts: ResampleCounts
    seed: int

    def ood_counts(self, name: str, n: int) -> ResampleCounts:
        """Resamples of the ``n`` images of another data set, ``(1 + r, n)``."""
        return _sample_and_resamples(n, len(self.id_counts) - 1, name, self.seed)


def shared_bootstrap(m: int, resamples: int, seed: int) -> SharedBootstrap:
    """Resamples of ``m`` in-distribution images."""
    return SharedBootstrap(_sample_and_resamples(m, resamples, "in distribution", seed), seed)


def _sample_and_resamples(n: int, resamples: int, name: str, seed: int) -> ResampleCounts:
    (rng,) = generators("resamples", [name], seed)
    return np.concatenate([original_sample(n), bootstrap_counts(n, resamples, rng)])


@final
@dataclass(frozen=True)
class DetectorResult:
    """One detector on one data set.

    Args:
        detector: Its name.
        dataset: Name of the data set.
        kind: Near or far.
        id_scores: Scores of in-distribution images, ``(m,)``.
        ood_scores: Scores of the data set's images, ``(n,)``.
        metrics: Of the sample first, then of every resample.
    """

    detector: str
    dataset: str
    kind: OodKind
    id_scores: Floats
    ood_scores: Floats
    metrics: DetectionMetrics

    @property
    def conditions(self) -> Conditions:
        """Conditions of its measurements."""
        return {"detector": self.detector, "set": self.dataset, "kind": str(self.kind)}

    def measurements(self) -> Iterator[Measurement]:
        """AUROC, AUPR and FPR95."""
        for metric, values in ((AUROC, self.metrics.auroc), (AUPR, self.metrics.aupr), (FPR95, self.metrics.fpr95)):
            yield _measurement(metric, values, [self], self.conditions)


def evaluate_detector(
    detector: str, dataset: str, kind: OodKind, scores: tuple[Floats, Floats], refits: Sequence[tuple[Floats, Floats]], bootstrap: SharedBootstrap
) -> DetectorResult:
    """One detector on one data set, with its metrics.

    Args:
        detector: Its name.
        dataset: Name of the data set.
        kind: Near or far.
        scores: Of in-distribution images ``(m,)`` and of the data set's ``(n,)``.
        refits: The same by the detector fitted anew on resampled training images; none for a detector that is not fitted.
        bootstrap: Resamples of the images.
    """
    metrics = detection_metrics(*scores, bootstrap.id_counts, bootstrap.ood_counts(dataset, len(scores[1])))
    refitted = [detection_metrics(m, n, original_sample(len(m)), original_sample(len(n))) for m, n in refits]
    (rng,) = generators("refits", [detector], bootstrap.seed)
    return DetectorResult(detector, dataset, kind, *scores, with_refits(metrics, refitted, rng))


def mean_measurements(over: str, results: Sequence[DetectorResult], figures: Sequence[Figure] = ()) -> Iterator[Measurement]:
    """Mean AUROC and FPR95 of one detector over data sets, each data set weighing the same.

    Args:
        over: Collective name of the data sets.
        results: At least one.
        figures: Attached to the AUROC.
    """
    conditions = {"detector": results[0].detector, "over": over}
    yield _measurement(AUROC, np.mean([result.metrics.auroc for result in results], axis=0), results, conditions, figures)
    yield _measurement(FPR95, np.mean([result.metrics.fpr95 for result in results], axis=0), results, conditions)


def _measurement(metric: Metric, values: Floats, results: Sequence[DetectorResult], conditions: Conditions, figures: Sequence[Figure] = ()) -> Measurement:
    m, sizes = len(results[0].id_scores), [len(result.ood_scores) for result in results]
    interval = detection_interval(float(values[0]), values[1:], min(m, *sizes))
    return Measurement(metric, float(values[0]), m + sum(sizes), interval, conditions, extra=tuple(figures))


def summarize_detectors(results: Sequence[DetectorResult], fixed: Mapping[str, Sequence[str]], figures: Sequence[Figure]) -> Iterator[Outcome]:
    """Mean AUROC and FPR95 of each detector over fixed data sets, over far-OOD and over near-OOD data sets.

    No best detector is selected: choosing it on these images would bias its own score.

    Args:
        results: Every detector on every data set.
        fixed: Names of data sets by collective name; a mean is missing where one of its data sets is.
        figures: Attached to the first measurement.
    """
    for detector in dict.fromkeys(result.detector for result in results):
        by_dataset = {result.dataset: result for result in results if result.detector == detector}
        for over, names in fixed.items():
            if set(names) <= by_dataset.keys():
                yield from mean_measurements(over, [by_dataset[name] for name in names], figures)
                figures = ()
            else:
                missing = ", ".join(name for name in names if name not in by_dataset)
                message = f"the mean over {over} needs {missing}, excluded because the model knows what they show"
                hint = "use the mean over noise, or name a data set of your own"
                yield Failure(Status.UNSUPPORTED, KNOWN_CLASSES, message, hint, AUROC, {"detector": detector, "over": over})
        for kind in (OodKind.FAR, OodKind.NEAR):
            if of_kind := [result for result in by_dataset.values() if result.kind is kind]:
                yield from mean_measurements(f"{kind} sets", of_kind, figures)
                figures = ()


def below_chance(results: Sequence[DetectorResult]) -> Iterator[Finding]:
    """Data sets that score significantly higher than the in-distribution images: AUROC below 50 %.

    Args:
        results: One detector on each data set.
    """
    for result in results:
        auroc = float(result.metrics.auroc[0])
        if float(np.quantile(result.metrics.auroc[1:], 0.975)) < 0.5:
            yield Finding(
                "surer-outside",
                f"{result.detector} scores {result.dataset} higher than in-distribution images (AUROC {number(auroc, AUROC)}, below chance)",
                "do not rely on its confidence to reject inputs: try a feature-based detector, or train with outlier exposure",
            )


def score_histogram(results: Sequence[DetectorResult]) -> Curve:
    """Distribution of one detector's scores in distribution and on each data set: the less they overlap, the better the detection.

    Args:
        results: One detector on each data set, at least one; only the first five are drawn.
    """
    shown = results[:MAX_SERIES]
    as_probability = shown[0].detector == MSP
    samples = [_displayed(shown[0].id_scores, as_probability), *(_displayed(result.ood_scores, as_probability) for result in shown)]
    edges = np.linspace(min(scores.min() for scores in samples), max(scores.max() for scores in samples) + 1e-9, HISTOGRAM_BINS + 1)
    names = ["in distribution", *(result.dataset for result in shown)]
    label = "maximum softmax probability" if as_probability else f"{shown[0].detector} score"
    return Curve(
        f"Scores of {shown[0].detector} in and out of distribution",
        label,
        "share of images",
        tuple(_histogram(name, scores, edges) for name, scores in zip(names, samples, strict=True)),
    )


def _displayed(scores: Floats, as_probability: bool) -> Floats:
    return np.exp(scores) if as_probability else scores


def _histogram(name: str, scores: Floats, edges: Floats) -> Series:
    counts, _ = np.histogram(scores, edges)
    centres = (edges[1:] + edges[:-1]) / 2
    return Series(name, tuple(centres.tolist()), tuple((counts / len(scores)).tolist()))


def auroc_table(results: Sequence[DetectorResult]) -> Table:
    """AUROC of every detector on every data set; only the first fourteen data sets are shown."""
    detectors = list(dict.fromkeys(result.detector for result in results))
    datasets = list(dict.fromkeys((result.dataset, str(result.kind), len(result.ood_scores)) for result in results))[:MAX_ROWS]
    cells = {(result.detector, result.dataset): number(float(result.metrics.auroc[0]), AUROC) for result in results}
    rows: tuple[tuple[str | int | float, ...], ...] = tuple((name, kind, n, *(cells[detector, name] for detector in detectors)) for name, kind, n in datasets)
    return Table("AUROC by data set and detector", ("Data set", "Kind", "Images", *detectors), rows)
