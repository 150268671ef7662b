"""Calibration: whether a confidence of 80 % is right in 80 % of cases, what one temperature mends, and whether confidence tells right from wrong."""

from collections.abc import Iterator
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
from efficient360.methods.uncertainty.calibration_pictures import parts_table, reliability_diagram, risk_coverage_curve
from efficient360.methods.uncertainty.calibration_study import CalibrationStudy, calibration_study
from efficient360.methods.uncertainty.class_wise import Effort, class_wise
from efficient360.methods.uncertainty.clean_logits import clean_logits
from efficient360.methods.uncertainty.confidence_levels import levels_of
from efficient360.methods.uncertainty.group_wise import group_wise
from efficient360.methods.uncertainty.part_errors import PartErrors
from efficient360.methods.uncertainty.selective_risk import answered_rightly
from efficient360.methods.uncertainty.temperature import Temperature, cross_fitted, fitted, scaled

SCALED: Conditions = {"temperature": "fitted"}


@final
@dataclass(frozen=True)
class Calibration(ExampleEvaluator):
    """Proper scores and calibration error against its null, raw and after temperature scaling, by class and by group; and selective risk.

    All from the clean logits alone. The temperature is cross-fitted over two halves: every example is scaled by one that it did not help to fit.

    Args:
        bins: Bins of equal mass, at least 1.
        resamples: Resamples behind the intervals and the null, at least 2.
        draws: Draws of the null by class and by group, and resamples behind their intervals, at least 2.
        minimum: Examples that a group needs for a calibration error of its own, at least 1.
        coverages: Shares of the examples, surest first, whose accuracy is told, above 0 and at most 1.
    """

    name: ClassVar[str] = "calibration"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = calibration_metrics.ALL
    columns: ClassVar[tuple[Metric, ...]] = (CORRECT,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    bins: AtLeast1 = 15
    resamples: AtLeast2 = 1000
    draws: AtLeast2 = 200
    minimum: AtLeast1 = 30
    coverages: Annotated[tuple[Share, ...], EachOnce] = (0.8, 0.9, 0.95)

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """NLL, Brier score, confidence and right or wrong of each example."""
        logp = model.logits(batch).cpu().double().log_softmax(1)  # (B, K)
        probability = logp.exp()
        truth = torch.nn.functional.one_hot(batch.labels.cpu(), logp.shape[1])
        confidence, predicted = probability.max(1)
        yield Scores(NLL, -logp.gather(1, batch.labels.cpu()[:, None])[:, 0])
        yield Scores(BRIER, (probability - truth).square().sum(1).clamp(0, 2))
        yield Scores(CONFIDENCE, confidence)
        yield Scores(CORRECT, predicted == batch.labels.cpu())

    def examine(self, model: Model, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Calibration errors with their chance level, raw and scaled, by class and by group, the temperature, and what confidence is worth for selection."""
        logits = clean_logits(model, context.examples, context.batch_size, context.deadline.check)
        raw = self._study(table.column(CONFIDENCE), table.column(CORRECT), context, 0)
        try:
            temperature = fitted(logits, table.labels)
            log_probability = scaled(logits, cross_fitted(logits, table.labels, table.ids, context.seed))
        except Unsupported as error:
            yield from self._whole(raw, table, context, (reliability_diagram({"model": raw.levels}, self.bins),))
            yield Failure.of(Status.UNSUPPORTED, error, TEMPERATURE)
        else:
            mended = self._study(np.exp(log_probability.max(axis=1).astype(np.float64)), table.column(CORRECT), context, 2)
            diagram = reliability_diagram({"model": raw.levels, "after temperature scaling": mended.levels}, self.bins)
            yield from self._whole(raw, table, context, (diagram,))
            yield from _scaled(mended, log_probability, temperature, table.labels, context)
            yield from self._classes(np.exp(log_probability), table.labels, context, SCALED)
        yield from self._classes(np.exp(scaled(logits, np.ones(len(logits)))), table.labels, context, {})
        yield from self._groups(table, context)

    def _study(self, confidence: Floats, correct: Floats, context: Context, salt: int) -> CalibrationStudy:
        seeds = ([context.seed, salt], [context.seed, salt + 1])
        return calibration_study(levels_of(confidence, correct), self.bins, self.resamples, seeds, context.deadline.check)

    def _whole(self, study: CalibrationStudy, table: ScoreTable, context: Context, pictures: tuple[Figure, ...]) -> Iterator[Outcome]:
        gap, levels, n = table.column(CONFIDENCE) - table.column(CORRECT), study.levels, study.levels.n
        yield from study.measurements({}, pictures)
        yield Measurement(OVERCONFIDENCE, float(gap.mean()), n, bootstrap_mean(gap, context.seed, self.resamples))
        for metric, draws, area, extra in (
            (AURC, study.aurcs, study.aurc, (risk_coverage_curve(levels),)),
            (AUGRC, study.augrcs, study.augrc, ()),
        ):
            yield Measurement(metric, area, n, percentiles(draws, "bootstrap"), extra=extra)
        for coverage in self.coverages:
            accuracy, answered = answered_rightly(levels, coverage)
            share = f"{100 * coverage:g} %"
            yield Measurement(ACCURACY_AT, accuracy, answered, wilson(round(accuracy * answered), answered), {"coverage": share})

    def _classes(self, probability: Floats, labels: NDArray[np.int64], context: Context[Examples], given: Conditions) -> Iterator[Outcome]:
        names = [class_name(label, context.examples.class_names) for label in range(probability.shape[1])]
        found = class_wise(probability, labels, names, Effort(self.bins, self.draws, context.deadline.check), [context.seed, 4])
        mean = found.mean()
        extra = () if given else (parts_table(found, "class"),)
        yield Measurement(CLASSWISE_ECE, mean.value, len(labels), mean.interval, given, extra=extra)
        yield from _excesses(CLASSWISE_EXCESS, found, len(labels), given, ("mean of the classes", "worst class"))

    def _groups(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        for place, (column, values) in enumerate(table.groups.items()):
            given, seed = {"groups": column}, [context.seed, 5, place]
            grouping = group_by(column, values)
            confidence, correct = table.column(CONFIDENCE), table.column(CORRECT)
            found = group_wise(confidence, correct, grouping, self.minimum, self.bins, self.draws, seed, context.deadline.check)
            if found is None:
                message = f"fewer than two groups of {column} have {self.minimum} examples"
                yield Failure(Status.UNSUPPORTED, "small-groups", message, "evaluate more examples, or set calibration.minimum lower", GROUPWISE_EXCESS, given)
                continue
            extra = (parts_table(found, f"group of {column}"),)
            yield from _excesses(GROUPWISE_EXCESS, found, int(found.sizes.sum()), given, ("mean of the groups", "worst group"), extra)


def _scaled(
    study: CalibrationStudy, log_probability: NDArray[np.float32], temperature: Temperature, labels: NDArray[np.int64], context: Context
) -> Iterator[Outcome]:
    """The temperature, and the proper scores and calibration errors after scaling."""
    n = len(labels)
    yield Measurement(TEMPERATURE, temperature.value, n, temperature.interval)
    nll = -log_probability[np.arange(n), labels].astype(np.float64)
    # Σ (p − y)² = Σ p² − 2 p_true + 1
    brier = np.clip(np.square(np.exp(log_probability)).sum(axis=1, dtype=np.float64) - 2 * np.exp(-nll) + 1, 0, 2)
    for metric, values in ((NLL, nll), (BRIER, brier)):
        yield Measurement(metric, float(values.mean()), n, mean_interval(values, context.seed), SCALED)
    yield from study.measurements(SCALED)


def _excesses(metric: Metric, of: PartErrors, n: int, given: Conditions, names: tuple[str, str], extra: tuple[Figure, ...] = ()) -> Iterator[Outcome]:
    for over, excess, figures in zip(names, (of.mean_excess(), of.worst_excess()), (extra, ()), strict=True):
        yield Measurement(metric, excess.value, n, excess.interval, {**given, "over": over}, extra=figures)
