"""Conformal prediction: prediction-set size at a given coverage, and coverage by set size, class and group."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from efficient360.core.arrays import Floats
from efficient360.core.examples import Examples
from efficient360.core.figures import Figure
from efficient360.core.groupings import Grouping, group_by
from efficient360.core.settings import AtLeast1, AtLeast2, Count, EachOnce, Level, NotEmpty, among
from efficient360.core.statistics import centred_bootstrap, wilson
from efficient360.evaluator import Conditions, Context, Evaluator, Failure, Interval, Measurement, Metric, Model, Need, Outcome, Status, Unsupported
from efficient360.methods.fairness.group_accuracy import GroupCounts
from efficient360.methods.fairness.worst_groups import worst_k
from efficient360.methods.uncertainty import conformal_metrics
from efficient360.methods.uncertainty.bootstrap import bootstrap_weights
from efficient360.methods.uncertainty.conformal_metrics import (
    COVERAGE,
    EMPTY,
    LOG_SET_SIZE,
    SET_SIZE,
    SINGLETONS,
    SSCV,
    SSCV_NULL,
    WORST_CLASS,
    WORST_CLASS_NULL,
    WORST_GROUP,
    WORST_GROUP_NULL,
)
from efficient360.methods.uncertainty.conformal_scores import SCORE_NAMES, nonconformity_scores, rank_classes
from efficient360.methods.uncertainty.conformal_summary import size_curve, size_stratified_coverage, strata_table, summary_table
from efficient360.methods.uncertainty.model_outputs import predict_logits
from efficient360.methods.uncertainty.split_conformal import (
    CalibrationSplits,
    ConformalInputs,
    ConformalResult,
    PredictionSets,
    build_prediction_sets,
    coverage_distribution,
    draw_splits,
    threshold_rank,
)

CURVE_LEVELS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
"""Miscoverages on the axis of the set-size curve."""
COVERAGE_DRAWS = 4000
"""Draws from the distribution of coverage for its interval."""
HINT = "evaluate more examples"


@final
@dataclass(frozen=True)
class Conformal(Evaluator):
    """Split conformal prediction with THR, APS and RAPS: set size at nominal coverage, and coverage by set size, class and group.

    Calibrated on a part of the evaluated split, never on the training split, and tested on the rest, over many random splits.

    Args:
        methods: Nonconformity scores: thr, aps, raps.
        alphas: Nominal miscoverages; coverage by set size, class and group is reported for the first.
        splits: Number of random splits.
        share: Share of the examples in the calibration part.
        raps_penalty: λ of RAPS; its authors use 0.01.
        raps_free: k_reg of RAPS, ranks without a penalty; its authors use 5.
        minimum: Examples that a class, a group or a stratum needs.
        resamples: Bootstrap resamples for intervals, and draws from nulls.
    """

    name: ClassVar[str] = "conformal"
    version: ClassVar[int] = 2
    metrics: ClassVar[tuple[Metric, ...]] = conformal_metrics.ALL
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    uses: ClassVar[frozenset[Need]] = frozenset({Need.GROUPS})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"methods": (), "alphas": (), "resamples": ()}
    methods: Annotated[tuple[Annotated[str, among(lambda: SCORE_NAMES)], ...], EachOnce, NotEmpty] = SCORE_NAMES
    alphas: Annotated[tuple[Level, ...], EachOnce, NotEmpty] = (0.1, 0.05)
    splits: AtLeast1 = 20
    share: Level = 0.5
    raps_penalty: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    raps_free: Count = 5
    minimum: AtLeast1 = 30
    resamples: AtLeast2 = 200

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Set sizes, coverage, and coverage by set size, class and group."""
        split = context.require_examples()
        if model.num_classes < 2 or len(split) < 2:
            raise Unsupported("too-few-classes", "prediction sets are trivial with fewer than two classes or examples", HINT)
        examples = context.predicted(split)
        logits = predict_logits(model, examples, context.batch_size, context.deadline.check)
        splits = draw_splits(examples.ids, self.splits, self.share, context.seed)
        size = splits.calibration_size
        inputs = ConformalInputs(rank_classes(logits, examples.labels), splits, context.deadline.check)
        alphas = [alpha for alpha in self.alphas if threshold_rank(size, alpha) <= size]
        yield from (_too_few(alpha, size) for alpha in self.alphas if alpha not in alphas)
        if not alphas:
            return
        levels = [level for level in CURVE_LEVELS if threshold_rank(size, level) <= size]
        weights = bootstrap_weights(len(inputs), self.resamples, np.random.default_rng([context.seed, 0]))
        scores = nonconformity_scores(self.raps_penalty, self.raps_free)
        results: dict[str, ConformalResult] = {}
        for name in self.methods:
            context.progress(len(results), len(self.methods))
            results[name] = build_prediction_sets(scores[name], inputs, alphas, levels, weights)
        titled = {scores[name].title: result for name, result in results.items()}
        figures = (summary_table(titled, splits), *((size_curve(titled, levels),) if len(levels) > 1 else ()))
        yield from self._sizes(results, model.num_classes, splits, context.seed, figures)
        first = {name: result.sets[0] for name, result in results.items()}
        yield from self._by_size(first, {name: scores[name].title for name in first}, weights, context.seed)
        yield from self._by_class_and_group(first, examples, context.seed)

    def _sizes(
        self, results: Mapping[str, ConformalResult], classes: int, splits: CalibrationSplits, seed: int, figures: Sequence[Figure]
    ) -> Iterator[Outcome]:
        for name, result in results.items():
            for sets in result.sets:
                conditions: Conditions = {"method": name, "alpha": _percent(sets.alpha)}
                n = int(sets.ever_tested.sum())
                size = sets.mean_size
                interval = centred_bootstrap(size, sets.mean_sizes, 0.0, float(classes))
                log_interval = Interval(_log_size(interval.low, classes), _log_size(interval.high, classes), interval.method)
                yield Measurement(LOG_SET_SIZE, _log_size(size, classes), n, log_interval, conditions)
                yield Measurement(SET_SIZE, size, n, interval, conditions, extra=tuple(figures))
                figures = ()
                coverages = sets.coverages
                coverage_interval = _coverage_interval(float(coverages.mean()), sets, splits, seed)
                yield Measurement(COVERAGE, float(coverages.mean()), n, coverage_interval, conditions, tuple(coverages.tolist()))
                for metric, set_size in ((EMPTY, 0), (SINGLETONS, 1)):
                    yield _share_of_size(metric, sets, set_size, conditions)

    def _by_size(self, first: Mapping[str, PredictionSets], titles: Mapping[str, str], weights: Floats, seed: int) -> Iterator[Outcome]:
        alpha = next(iter(first.values())).alpha
        results = {name: size_stratified_coverage(sets, self.minimum, weights, np.random.default_rng([seed, 1])) for name, sets in first.items()}
        table = strata_table({titles[name]: result for name, result in results.items() if result is not None}, alpha)
        figures: tuple[Figure, ...] = (table,)
        for name, result in results.items():
            conditions: Conditions = {"method": name, "alpha": _percent(alpha)}
            if result is None:
                message = f"no stratum of set size has {self.minimum} examples"
                yield Failure(Status.UNSUPPORTED, "too-few-examples", message, HINT, SSCV, conditions)
                continue
            n = round(float(result.sizes.sum()))
            yield Measurement(SSCV, result.violation, n, result.interval, conditions, extra=figures)
            yield Measurement(SSCV_NULL, result.null_mean, n, result.null_interval, conditions)
            figures = ()

    def _by_class_and_group(self, first: Mapping[str, PredictionSets], examples: Examples, seed: int) -> Iterator[Outcome]:
        for name, sets in first.items():
            conditions: Conditions = {"method": name, "alpha": _percent(sets.alpha)}
            classes, codes = np.unique(examples.labels, return_inverse=True)
            by_class = Grouping("class", tuple(map(str, classes)), codes.astype(np.int64))
            yield from self._worst(sets, by_class, (WORST_CLASS, WORST_CLASS_NULL), conditions, seed)
            for column, values in examples.groups.items():
                yield from self._worst(sets, group_by(column, values), (WORST_GROUP, WORST_GROUP_NULL), {**conditions, "groups": column}, seed)

    def _worst(self, sets: PredictionSets, grouping: Grouping, metrics: tuple[Metric, Metric], conditions: Conditions, seed: int) -> Iterator[Outcome]:
        tally = _tally(sets, grouping, self.minimum)
        if len(tally.sizes) < 2:
            message = f"fewer than two of {grouping.name} have {self.minimum} examples"
            yield Failure(Status.UNSUPPORTED, "too-few-examples", message, f"{HINT}, or lower conformal.minimum", metrics[0], conditions)
            return
        worst = worst_k(tally, 1, max(self.resamples, 1000), [seed, 2])
        yield Measurement(metrics[0], worst.value, worst.n, worst.interval, conditions)
        yield Measurement(metrics[1], worst.null_mean, tally.n, worst.null_interval, conditions)


def _too_few(alpha: float, calibration_size: int) -> Failure:
    message = f"{calibration_size} calibration examples are too few for a miscoverage of {alpha:g}: every set would contain all classes"
    return Failure(Status.UNSUPPORTED, "too-few-examples", message, HINT, conditions={"alpha": _percent(alpha)})


def _percent(alpha: float) -> str:
    return f"{100 * alpha:g} %"


def _log_size(size: float, classes: int) -> float:
    return min(1.0, math.log(max(size, 1.0)) / math.log(classes))


def _coverage_interval(value: float, sets: PredictionSets, splits: CalibrationSplits, seed: int) -> Interval:
    """Spread of the mean coverage of as many splits under its beta-binomial distribution, centred on ``value``."""
    test_size = int(sets.tested[:, 0].sum())
    distribution = coverage_distribution(splits.calibration_size, test_size, sets.alpha)
    means = distribution.rvs((COVERAGE_DRAWS, splits.count), np.random.default_rng([seed, 3])).mean(axis=1) / test_size
    interval = centred_bootstrap(value, means, 0.0, 1.0)
    return Interval(interval.low, interval.high, "beta-binomial")


def _share_of_size(metric: Metric, sets: PredictionSets, set_size: int, conditions: Conditions) -> Measurement:
    """Share of sets with ``set_size`` classes, with Wilson's interval for the number of examples ever tested."""
    n = int(sets.ever_tested.sum())
    share = float(sets.rate_when_tested(sets.sizes == set_size)[sets.ever_tested].mean())
    return Measurement(metric, share, n, wilson(round(share * n), n), conditions)


def _tally(sets: PredictionSets, grouping: Grouping, minimum: int) -> GroupCounts:
    """Covered examples by class or group, where there are enough; an example covered in some splits only counts fractionally, and sums are rounded."""
    codes, covered = grouping.codes[sets.ever_tested], sets.rate_when_tested(sets.covered)[sets.ever_tested]
    sizes: NDArray[np.int64] = np.bincount(codes, minlength=len(grouping.names)).astype(np.int64)
    hits = np.rint(np.bincount(codes, covered, minlength=len(grouping.names))).astype(np.int64)
    chosen = sizes >= minimum
    return GroupCounts(hits[chosen], sizes[chosen])
