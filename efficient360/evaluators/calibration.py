"""Calibration: whether a confidence of 80 % is right in 80 % of cases, and whether confidence tells right answers from wrong ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch

from efficient360.errors import SettingsError
from efficient360.evaluator import (
    NAT,
    ONE,
    Batch,
    Better,
    Context,
    ExampleEvaluator,
    Interval,
    Measurement,
    Metric,
    Model,
    Need,
    Outcome,
    Scores,
    ScoreTable,
)
from efficient360.figures import Curve, Series
from efficient360.quality.calibration_error import calibration_error, reliability
from efficient360.quality.confidence_levels import Floats, Levels, bootstrapped, calibrated, levels_of
from efficient360.quality.selective_risk import area_under_risk_coverage, risk_coverage
from efficient360.statistics import bootstrap_mean, wilson

NLL = Metric(
    "nll", NAT, Better.LOWER, "Mean negative log-likelihood of the true class: how surprised the model is by the truth.",
    "Guo et al. 2017, equation 6", low=0,
)
BRIER = Metric(
    "brier", ONE, Better.LOWER,
    "Squared distance between the predicted probabilities and the truth, summed over classes: 0 certain and right, 2 certain and wrong.",
    "Brier 1950, equation 2", low=0, high=2,
)
CONFIDENCE = Metric(
    "confidence", ONE, Better.NEITHER, "Mean probability given to the predicted class.",
    "Hendrycks & Gimpel 2017 (maximum softmax probability)", low=0, high=1,
)
CORRECT = Metric("correct", ONE, Better.HIGHER, "Whether the predicted class is the true one.", low=0, high=1)
ECE = Metric(
    "ece", ONE, Better.LOWER,
    "Expected calibration error: mean gap between confidence and accuracy over bins of equal mass; chance alone lifts it above 0.",
    "Guo et al. 2017, equation 3; equal-mass bins of Nixon et al. 2019", low=0, high=1,
)
ECE_NULL = Metric(
    "ece_null", ONE, Better.NEITHER,
    "The ECE that a perfectly calibrated model of the same confidences would show on as many examples; its interval holds 95 % of such models.",
    "Bröcker & Smith 2007 (consistency resampling)", low=0, high=1,
)
ECE_EXCESS = Metric(
    "ece_excess", ONE, Better.LOWER, "ECE beyond what chance gives a perfectly calibrated model; about 0 when calibrated.",
    "Guo et al. 2017, equation 3, less the mean under the resampling of Bröcker & Smith 2007", low=-1, high=1,
)
OVERCONFIDENCE = Metric(
    "overconfidence", ONE, Better.NEITHER,
    "Mean confidence less accuracy: above 0 it claims more than it delivers, below 0 less; nearer 0 is better.", low=-1, high=1,
)
AURC = Metric(
    "aurc", ONE, Better.LOWER, "Area under the risk-coverage curve: mean error rate among the surest examples, over every share it may answer.",
    "Geifman, Uziel & El-Yaniv 2019, section 3", low=0, high=1,
)


@final
@dataclass(frozen=True)
class Calibration(ExampleEvaluator):
    """Proper scores, calibration error against its null, and selective risk, from the clean logits alone.

    Args:
        bins: Bins of equal mass, at least 1.
        resamples: Resamples behind the intervals and the null, at least 2.
    """

    name: ClassVar[str] = "calibration"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (NLL, BRIER, CONFIDENCE, ECE, ECE_NULL, ECE_EXCESS, OVERCONFIDENCE, AURC)
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    bins: int = 15
    resamples: int = 1000

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise SettingsError("bad-setting", f"the setting bins of calibration is {self.bins}", "give at least 1 bin; 15 is usual")
        if self.resamples < 2:
            raise SettingsError("bad-setting", f"the setting resamples of calibration is {self.resamples}", "give at least 2 resamples; 1000 is usual")

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """NLL, Brier score, confidence and right or wrong of each example."""
        logp = model.logits(batch).cpu().double().log_softmax(1)    # (B, K)
        probability = logp.exp()
        truth = torch.nn.functional.one_hot(batch.labels.cpu(), logp.shape[1])
        confidence, predicted = probability.max(1)
        yield Scores(NLL, -logp.gather(1, batch.labels.cpu()[:, None])[:, 0])
        yield Scores(BRIER, (probability - truth).square().sum(1).clamp(0, 2))
        yield Scores(CONFIDENCE, confidence)
        yield Scores(CORRECT, predicted == batch.labels.cpu())

    def finish(self, table: ScoreTable, context: Context) -> Iterator[Outcome]:
        """The calibration errors with their chance level, overconfidence and the area under the risk-coverage curve."""
        confidence, correct = table.column(CONFIDENCE), table.column(CORRECT)
        levels = levels_of(confidence, correct)
        n = levels.n
        null = self._null(levels, context)
        eces, aurcs = self._bootstrap(levels, context)
        ece, aurc, chance = float(calibration_error(levels, self.bins)[0]), float(area_under_risk_coverage(levels)[0]), float(null.mean())
        yield Measurement(ECE, ece, n, _around(ece, eces, 0.0), extra=(reliability_diagram(levels, self.bins),))
        yield Measurement(ECE_NULL, chance, n, _quantiles(null, "calibrated-resamples"))
        yield Measurement(ECE_EXCESS, ece - chance, n, _around(ece - chance, eces, -1.0))
        gap = confidence - correct
        yield Measurement(OVERCONFIDENCE, float(gap.mean()), n, bootstrap_mean(gap, context.seed, self.resamples))
        yield Measurement(AURC, aurc, n, _quantiles(aurcs, "bootstrap"), extra=(risk_coverage_curve(levels),))

    def _null(self, levels: Levels, context: Context) -> Floats:
        draws = []
        for chunk in calibrated(levels, self.resamples, np.random.default_rng([context.seed, 0])):
            context.deadline.check()
            draws.append(calibration_error(chunk, self.bins))
        return np.concatenate(draws)

    def _bootstrap(self, levels: Levels, context: Context) -> tuple[Floats, Floats]:
        eces, aurcs = [], []
        for chunk in bootstrapped(levels, self.resamples, np.random.default_rng([context.seed, 1])):
            context.deadline.check()
            eces.append(calibration_error(chunk, self.bins))
            aurcs.append(area_under_risk_coverage(chunk))
        return np.concatenate(eces), np.concatenate(aurcs)


def _quantiles(draws: Floats, method: str) -> Interval:
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(float(low), float(high), method)


def _around(value: float, draws: Floats, lowest: float) -> Interval:
    """Spread of bootstrapped ECEs, centred on ``value``.

    A resample is noisier than the sample, so its ECE is biased upwards once more: plain percentiles of a calibrated
    model's ECE would leave out the ECE itself.
    """
    low, high = np.quantile(draws - draws.mean(), (0.025, 0.975))
    return Interval(max(lowest, value + float(low)), min(1.0, value + float(high)), "centred-bootstrap")


def reliability_diagram(levels: Levels, bins: int) -> Curve:
    """Accuracy against mean confidence of each bin with Wilson intervals, over the diagonal of perfect calibration (DeGroot & Fienberg 1983)."""
    found = reliability(levels, bins)
    intervals = [wilson(b.hits, b.count) for b in found]
    points = Series(
        "model", tuple(b.confidence for b in found), tuple(b.hits / b.count for b in found),
        tuple(i.low for i in intervals), tuple(i.high for i in intervals), "points",
    )
    return Curve("Reliability", "confidence", "accuracy", (Series("calibrated", (0.0, 1.0), (0.0, 1.0), style="reference"), points))


def risk_coverage_curve(levels: Levels) -> Curve:
    """Error rate among the surest examples against the share of examples answered."""
    coverage, risk = risk_coverage(levels)
    error = 1 - int(levels.hits.sum()) / levels.n
    return Curve(
        "Risk against coverage", "share of examples answered, surest first", "error rate among them",
        (
            Series("answered at random", (0.0, 1.0), (error, error), style="reference"),
            Series("model", tuple(coverage.tolist()), tuple(risk.tolist())),
        ),
    )
