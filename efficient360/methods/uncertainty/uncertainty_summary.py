"""What the uncertainty evaluator reports: averaged predictions against the point estimate, and misclassification detection by uncertainty."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.figures import Curve, Figure, Series, Table
from efficient360.core.formatting import number
from efficient360.core.measurement import NAT, ONE, Better, Failure, Measurement, Metric, Outcome, Status
from efficient360.core.seeding import generators
from efficient360.core.statistics import bootstrap_mean, centred_bootstrap
from efficient360.methods.uncertainty.bootstrap import bootstrap_counts, original_sample
from efficient360.methods.uncertainty.calibration_metrics import BRIER, ECE, NLL
from efficient360.methods.uncertainty.ece import ConfidenceLevels, bootstrap_resamples, confidence_levels, expected_calibration_error
from efficient360.methods.uncertainty.ood_metrics import detection_interval, detection_metrics
from efficient360.methods.uncertainty.predictive_distribution import PredictiveDistribution

NLL_CHANGE = Metric(
    "nll_change",
    NAT,
    Better.LOWER,
    "NLL of the averaged predictions minus that of the point estimate, on the same images: negative where averaging helps.",
    "Daxberger et al. 2021",
)
ENTROPY = Metric(
    "predictive_entropy",
    NAT,
    Better.NEITHER,
    "Mean entropy of the predictive distribution: total uncertainty.",
    "Gal 2016, section 3.3.1",
    low=0,
)
MUTUAL_INFORMATION = Metric(
    "mutual_information",
    NAT,
    Better.NEITHER,
    "Predictive entropy minus the expected entropy of single predictions: epistemic uncertainty (BALD).",
    "Houlsby et al. 2011",
    low=0,
)
ERROR_AUROC = Metric(
    "error_auroc",
    ONE,
    Better.HIGHER,
    "Misclassification detection: probability that an incorrect prediction is more uncertain than a correct one, ties counting half; 50 % is chance.",
    "Hendrycks & Gimpel 2017 (error and success prediction)",
    low=0,
    high=1,
)

POINT: Final = "point"
"""Prediction with the trained weights, without averaging."""
ECE_BINS: Final = 15
HISTOGRAM_BINS: Final = 25


@final
@dataclass(frozen=True)
class MethodPredictions:
    """Predictions under one method, with the true classes.

    Args:
        method: What averaged them; ``point`` for the point estimate.
        predictive: The predictive distribution.
        labels: int64 ``(n,)``.
    """

    method: str
    predictive: PredictiveDistribution
    labels: NDArray[np.int64]

    @property
    def nll(self) -> Floats:
        """Negative log-likelihood of each example in nat, ``(n,)``."""
        true = self.predictive.probability[np.arange(len(self.labels)), self.labels]
        return -np.log(np.maximum(true, np.finfo(np.float64).tiny))

    @property
    def brier(self) -> Floats:
        """Brier score of each example, ``(n,)`` in [0, 2]."""
        one_hot = np.arange(self.predictive.probability.shape[1]) == self.labels[:, None]
        brier: Floats = np.clip(np.square(self.predictive.probability - one_hot).sum(axis=1), 0, 2)
        return brier

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the most probable class is the true one, ``(n,)``."""
        correct: NDArray[np.bool_] = self.predictive.probability.argmax(axis=1) == self.labels
        return correct

    @property
    def levels(self) -> ConfidenceLevels:
        """Confidences with the number of correct predictions."""
        return confidence_levels(np.clip(self.predictive.probability.max(axis=1), 0, 1), self.correct.astype(np.float64))

    def signals(self) -> Iterator[tuple[str, Floats]]:
        """Uncertainty of each example by name, ``(n,)``; mutual information only where there are several members."""
        yield "entropy", self.predictive.entropy
        if self.method != POINT:
            yield "mutual information", self.predictive.mutual_information


def method_measurements(predictions: MethodPredictions, resamples: int, seed: int, figures: Sequence[Figure] = ()) -> Iterator[Outcome]:
    """NLL, Brier score, ECE, predictive entropy, mutual information, and misclassification detection by the last two.

    Args:
        predictions: Under one method.
        resamples: Bootstrap resamples for the intervals.
        seed: Of the resamples.
        figures: Attached to the NLL.
    """
    conditions = {"method": predictions.method}
    per_example: list[tuple[Metric, Floats]] = [(NLL, predictions.nll), (BRIER, predictions.brier), (ENTROPY, predictions.predictive.entropy)]
    per_example += [(MUTUAL_INFORMATION, predictions.predictive.mutual_information)] if predictions.method != POINT else []
    for metric, values in per_example:
        extra = tuple(figures) if metric is NLL else ()
        yield Measurement(metric, float(values.mean()), len(values), bootstrap_mean(values, seed, resamples), conditions, extra=extra)
    yield _ece(predictions, resamples, seed)
    for name, signal in predictions.signals():
        yield _error_auroc(predictions, name, signal, resamples, seed)


def nll_change(averaged: MethodPredictions, point: MethodPredictions, resamples: int, seed: int) -> Measurement:
    """Paired difference of NLL: averaged predictions minus the point estimate, on the same examples.

    Args:
        averaged: Averaged predictions.
        point: Point estimates for the same examples.
        resamples: Bootstrap resamples for the interval.
        seed: Of the resamples.
    """
    values = averaged.nll - point.nll
    return Measurement(NLL_CHANGE, float(values.mean()), len(values), bootstrap_mean(values, seed, resamples), {"method": averaged.method})


def _ece(predictions: MethodPredictions, resamples: int, seed: int) -> Measurement:
    levels = predictions.levels
    (rng,) = generators("ece", [predictions.method], seed)
    eces = np.concatenate([expected_calibration_error(chunk, ECE_BINS) for chunk in bootstrap_resamples(levels, resamples, rng)])
    value = float(expected_calibration_error(levels, ECE_BINS)[0])
    return Measurement(ECE, value, levels.n, centred_bootstrap(value, eces, 0.0, 1.0), {"method": predictions.method})


def error_auroc(predictions: MethodPredictions, signal: Floats) -> float | None:
    """AUROC of an uncertainty signal ``(n,)`` for detecting misclassification; ``None`` where no prediction is incorrect, or every one."""
    wrong = ~predictions.correct
    if wrong.all() or not wrong.any():
        return None
    counts = original_sample(int((~wrong).sum())), original_sample(int(wrong.sum()))
    return float(detection_metrics(-signal[~wrong], -signal[wrong], *counts).auroc[0])


def _error_auroc(predictions: MethodPredictions, name: str, signal: Floats, resamples: int, seed: int) -> Outcome:
    conditions = {"method": predictions.method, "signal": name}
    value, wrong = error_auroc(predictions, signal), ~predictions.correct
    if value is None:
        message = f"every one of {len(wrong)} predictions is {'incorrect' if wrong.all() else 'correct'}: AUROC needs both"
        return Failure(Status.UNSUPPORTED, "one-sided", message, "evaluate more examples", ERROR_AUROC, conditions)
    correct_scores, wrong_scores = -signal[~wrong], -signal[wrong]
    (rng,) = generators("errors", [predictions.method], seed)
    correct_counts = bootstrap_counts(len(correct_scores), resamples, rng)
    wrong_counts = bootstrap_counts(len(wrong_scores), resamples, rng)
    draws = detection_metrics(correct_scores, wrong_scores, correct_counts, wrong_counts).auroc
    interval = detection_interval(value, draws, min(len(correct_scores), len(wrong_scores)))
    return Measurement(ERROR_AUROC, value, len(wrong), interval, conditions)


def methods_table(methods: Sequence[MethodPredictions]) -> Table:
    """Accuracy, proper scores, ECE and misclassification detection of every method, the point estimate first."""
    return Table(
        "Averaged predictions against the point estimate",
        ("Method", "Accuracy", "NLL", "Brier", "ECE", "Error AUROC (entropy)", "Error AUROC (mutual information)"),
        tuple(_method_row(predictions) for predictions in methods),
    )


def _method_row(predictions: MethodPredictions) -> tuple[str, ...]:
    signals = dict(predictions.signals())
    return (
        predictions.method,
        f"{100 * predictions.correct.mean():.1f} %",
        number(float(predictions.nll.mean()), NLL),
        number(float(predictions.brier.mean()), BRIER),
        number(float(expected_calibration_error(predictions.levels, ECE_BINS)[0]), ECE),
        *(_auroc_cell(error_auroc(predictions, signals[name])) if name in signals else "–" for name in ("entropy", "mutual information")),
    )


def _auroc_cell(value: float | None) -> str:
    return "–" if value is None else number(value, ERROR_AUROC)


def uncertainty_histogram(predictions: MethodPredictions) -> Curve:
    """Distribution of uncertainty over correct and incorrect predictions: mutual information where predictions are averaged, else entropy."""
    name, signal = list(predictions.signals())[-1]
    sides = {"correct": signal[predictions.correct], "incorrect": signal[~predictions.correct]}
    edges = np.linspace(0, float(signal.max()) + 1e-9, HISTOGRAM_BINS + 1)
    centres = tuple(((edges[1:] + edges[:-1]) / 2).tolist())
    series = tuple(Series(side, centres, tuple((np.histogram(values, edges)[0] / len(values)).tolist())) for side, values in sides.items() if len(values))
    title = f"{name.capitalize()} of correct and incorrect predictions" + ("" if predictions.method == POINT else f", {predictions.method}")
    return Curve(title, f"{name} (nat)", "share of predictions", series)
