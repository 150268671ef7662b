"""Calibration: proper scores, ECE before and after temperature scaling, class-wise and by group, and selective classification."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.core.figures import Figure
from efficient360.core.formatting import class_name
from efficient360.core.groupings import group_by
from efficient360.core.settings import AtLeast1, AtLeast2, EachOnce, Share
from efficient360.core.statistics import bootstrap_mean, mean_interval, percentiles, wilson
from efficient360.evaluator import (
    Batch,
    Conditions,
    Context,
    ExampleEvaluator,
    Examples,
    Failure,
    Measurement,
    Metric,
    Model,
    Need,
    Outcome,
    Scores,
    ScoreTable,
    Status,
    Unsupported,
)
from efficient360.methods.uncertainty import calibration_metrics
from efficient360.methods.uncertainty.calibration_metrics import (
    ACCURACY_AT,
    AUGRC,
    AURC,
    BRIER,
    CLASSWISE_ECE,
    CLASSWISE_EXCESS,
    CONFIDENCE,
    CORRECT,
    GROUPWISE_EXCESS,
    NLL,
    OVERCONFIDENCE,
    TEMPERATURE,
)
from efficient360.methods.uncertainty.calibration_summary import (
    CalibrationStudy,
    reliability_diagram,
    risk_coverage_curve,
    study_calibration,
    subgroup_table,
)
from efficient360.methods.uncertainty.classwise_ece import ResamplingSettings, SubgroupErrors, classwise_ece, groupwise_ece
from efficient360.methods.uncertainty.ece import confidence_levels
from efficient360.methods.uncertainty.model_outputs import predict_logits
from efficient360.methods.uncertainty.selective_classification import accuracy_at_coverage
from efficient360.methods.uncertainty.temperature_scaling import Temperature, cross_fit_temperatures, fit_temperature, scaled_log_probabilities

SCALED: Conditions = {"temperature": "fitted"}


@final
@dataclass(frozen=True)
class Calibration(ExampleEvaluator):
    """Proper scores and ECE against its null, uncalibrated and temperature-scaled, class-wise and by group; selective risk.

    From the clean logits alone. The temperature is cross-fitted over two halves: every example is scaled by a temperature fitted without it.

    Args:
        bins: Equal-mass bins.
        resamples: Bootstrap resamples for the intervals, and draws from the null.
        draws: The same for errors by class and by group.
        minimum: Examples that a group needs for an ECE of its own.
        coverages: Coverages, most confident examples first, at which the selective accuracy is reported.
    """

    name: ClassVar[str] = "calibration"
    version: ClassVar[int] = 3
    metrics: ClassVar[tuple[Metric, ...]] = calibration_metrics.ALL
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GROUPS})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {
        "bins": ("ece", "ece_null", "ece_excess", "classwise_ece", "classwise_ece_excess", "groupwise_ece_excess"),
        "resamples": (),
        "draws": (),
        "minimum": (),
        "coverages": (),
    }
    bins: AtLeast1 = 15
    resamples: AtLeast2 = 1000
    draws: AtLeast2 = 200
    minimum: AtLeast1 = 30
    coverages: Annotated[tuple[Share, ...], EachOnce] = (0.8, 0.9, 0.95)

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """NLL, Brier score, confidence and correctness of each example."""
        logp = model.logits(batch).cpu().double().log_softmax(1)  # (B, K)
        probability = logp.exp()
        truth = torch.nn.functional.one_hot(batch.labels.cpu(), logp.shape[1])
        confidence, predicted = probability.max(1)
        yield Scores(NLL, -logp.gather(1, batch.labels.cpu()[:, None])[:, 0])
        yield Scores(BRIER, (probability - truth).square().sum(1).clamp(0, 2))
        yield Scores(CONFIDENCE, confidence)
        yield Scores(CORRECT, predicted == batch.labels.cpu())

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """ECE against its null, uncalibrated and temperature-scaled, class-wise and by group, the temperature, and selective risk."""
        logits = predict_logits(model, context.examples, context.batch_size, context.deadline.check)
        raw = self._study(table.column(CONFIDENCE), table.column(CORRECT), context, 0)
        try:
            temperature = fit_temperature(logits, table.labels)
            log_probability = scaled_log_probabilities(logits, cross_fit_temperatures(logits, table.labels, table.ids, context.seed))
        except Unsupported as error:
            yield from self._overall(raw, table, context, (reliability_diagram({"uncalibrated": raw.levels}, self.bins),))
            yield Failure.of(Status.UNSUPPORTED, error, TEMPERATURE)
        else:
            calibrated = self._study(np.exp(log_probability.max(axis=1).astype(np.float64)), table.column(CORRECT), context, 2)
            diagram = reliability_diagram({"uncalibrated": raw.levels, "temperature-scaled": calibrated.levels}, self.bins)
            yield from self._overall(raw, table, context, (diagram,))
            yield from _temperature_scaled(calibrated, log_probability, temperature, table.labels, context)
            yield from self._by_class(np.exp(log_probability), table.labels, context, SCALED)
        yield from self._by_class(np.exp(scaled_log_probabilities(logits, np.ones(len(logits)))), table.labels, context, {})
        yield from self._by_group(table, context)

    def _study(self, confidence: Floats, correct: Floats, context: Context, salt: int) -> CalibrationStudy:
        seeds = ([context.seed, salt], [context.seed, salt + 1])
        return study_calibration(confidence_levels(confidence, correct), self.bins, self.resamples, seeds, context.deadline.check)

    def _overall(self, study: CalibrationStudy, table: ScoreTable, context: Context, figures: tuple[Figure, ...]) -> Iterator[Outcome]:
        overconfidence, levels, n = table.column(CONFIDENCE) - table.column(CORRECT), study.levels, study.levels.n
        yield from study.measurements({}, figures)
        yield Measurement(OVERCONFIDENCE, float(overconfidence.mean()), n, bootstrap_mean(overconfidence, context.seed, self.resamples))
        for metric, draws, area, extra in (
            (AURC, study.aurcs, study.aurc, (risk_coverage_curve(levels),)),
            (AUGRC, study.augrcs, study.augrc, ()),
        ):
            yield Measurement(metric, area, n, percentiles(draws, "bootstrap"), extra=extra)
        for coverage in self.coverages:
            accuracy, accepted = accuracy_at_coverage(levels, coverage)
            yield Measurement(ACCURACY_AT, accuracy, accepted, wilson(round(accuracy * accepted), accepted), {"coverage": f"{100 * coverage:g} %"})

    def _by_class(self, probability: Floats, labels: NDArray[np.int64], context: Context[Examples], conditions: Conditions) -> Iterator[Outcome]:
        names = [class_name(label, context.examples.class_names) for label in range(probability.shape[1])]
        errors = classwise_ece(probability, labels, names, self._resampling(context), [context.seed, 4])
        mean = errors.mean()
        extra = () if conditions else (subgroup_table(errors, "class"),)
        yield Measurement(CLASSWISE_ECE, mean.value, len(labels), mean.interval, conditions, extra=extra)
        yield from _excesses(CLASSWISE_EXCESS, errors, len(labels), conditions, ("mean of the classes", "worst class"))

    def _by_group(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        for place, (column, values) in enumerate(table.groups.items()):
            conditions, seed = {"groups": column}, [context.seed, 5, place]
            grouping = group_by(column, values)
            confidence, correct = table.column(CONFIDENCE), table.column(CORRECT)
            errors = groupwise_ece(confidence, correct, grouping, self.minimum, self._resampling(context), seed)
            if errors is None:
                message, hint = f"fewer than two groups of {column} have {self.minimum} examples", "evaluate more examples, or lower calibration.minimum"
                yield Failure(Status.UNSUPPORTED, "small-groups", message, hint, GROUPWISE_EXCESS, conditions)
                continue
            figures = (subgroup_table(errors, f"group of {column}"),)
            yield from _excesses(GROUPWISE_EXCESS, errors, int(errors.sizes.sum()), conditions, ("mean of the groups", "worst group"), figures)

    def _resampling(self, context: Context) -> ResamplingSettings:
        return ResamplingSettings(self.bins, self.draws, context.deadline.check)


def _temperature_scaled(
    study: CalibrationStudy, log_probability: NDArray[np.float32], temperature: Temperature, labels: NDArray[np.int64], context: Context
) -> Iterator[Outcome]:
    """The temperature, and the proper scores and ECE of temperature-scaled predictions."""
    n = len(labels)
    yield Measurement(TEMPERATURE, temperature.value, n, temperature.interval)
    nll = -log_probability[np.arange(n), labels].astype(np.float64)
    # Σ (p − y)² = Σ p² − 2 p_true + 1
    brier = np.clip(np.square(np.exp(log_probability)).sum(axis=1, dtype=np.float64) - 2 * np.exp(-nll) + 1, 0, 2)
    for metric, values in ((NLL, nll), (BRIER, brier)):
        yield Measurement(metric, float(values.mean()), n, mean_interval(values, context.seed), SCALED)
    yield from study.measurements(SCALED)


def _excesses(
    metric: Metric, errors: SubgroupErrors, n: int, conditions: Conditions, names: tuple[str, str], figures: tuple[Figure, ...] = ()
) -> Iterator[Outcome]:
    for over, excess, extra in zip(names, (errors.mean_excess(), errors.worst_excess()), (figures, ()), strict=True):
        yield Measurement(metric, excess.value, n, excess.interval, {**conditions, "over": over}, extra=extra)
