"""Fairness analysis of one grouping: metrics of every group, and every disparity between the groups that are large enough."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.groupings import Grouping
from efficient360.methods.fairness.criteria import CalibrationWithinGroups, DemographicParity, EqualizedOdds
from efficient360.methods.fairness.disparity import Disparity, DisparityTest, GroupedPredictions, measure_disparity
from efficient360.methods.fairness.group_accuracy import AccuracyDisparity, GroupCounts, GroupMetrics, accuracy_disparity, group_metrics


@final
@dataclass(frozen=True)
class FairnessOptions:
    """Minimum sizes and numbers of draws of an analysis.

    Args:
        minimum: Examples that a group needs to be compared.
        minimum_class: Examples of a class, and of all others, that a group needs for that class's rates.
        permutations: Draws of a permutation null.
        resamples: Bootstrap resamples behind an interval.
        check: Called between chunks of work; may raise.
    """

    minimum: int
    minimum_class: int
    permutations: int
    resamples: int
    check: Callable[[], None]


@final
@dataclass(frozen=True)
class GroupingAnalysis:
    """One grouping with its metrics and disparities.

    Args:
        grouping: Of all examples.
        all_groups: Metrics of every group, however small.
        is_compared: Whether each group is large enough to be compared, bool ``(G,)``.
        compared_groups: Metrics of the compared groups; ``None`` when there are fewer than two.
        accuracy: Accuracy disparity between the compared groups; ``None`` as above.
        equalized_odds: Differences in true and false positive rates; empty where no class has enough examples in two groups.
        demographic_parity: Differences in selection rates.
        calibration: Difference in overconfidence.
        class_rates: True and false positive rates of each class; ``None`` where ``equalized_odds`` is empty.
    """

    grouping: Grouping
    all_groups: GroupMetrics
    is_compared: NDArray[np.bool_]
    compared_groups: GroupMetrics | None = None
    accuracy: AccuracyDisparity | None = None
    equalized_odds: tuple[DisparityTest, ...] = ()
    demographic_parity: tuple[DisparityTest, ...] = ()
    calibration: tuple[DisparityTest, ...] = ()
    class_rates: EqualizedOdds | None = None

    @property
    def compared_names(self) -> tuple[str, ...]:
        """Names of the compared groups."""
        return tuple(name for name, compared in zip(self.grouping.names, self.is_compared, strict=True) if compared)


def analyse_grouping(predictions: GroupedPredictions, grouping: Grouping, options: FairnessOptions, seed: list[int]) -> GroupingAnalysis:
    """Compare the groups of one grouping.

    Args:
        predictions: Of all examples, in any order; their ``codes`` are ignored.
        grouping: Of the same examples.
        options: Minimum sizes and numbers of draws.
        seed: Of all randomness.
    """
    every_group = np.ones(len(grouping.names), dtype=bool)
    all_groups = group_metrics(_regrouped(predictions, *grouping.select(every_group)))
    analysis = GroupingAnalysis(grouping, all_groups, grouping.sizes >= options.minimum)
    if analysis.is_compared.sum() < 2:
        return analysis
    compared = _regrouped(predictions, *grouping.select(analysis.is_compared))
    compared_groups = all_groups if analysis.is_compared.all() else group_metrics(compared)
    odds = EqualizedOdds(compared, options.minimum_class)

    def tests(disparity: Disparity, part: int) -> tuple[DisparityTest, ...]:
        return measure_disparity(disparity, options.permutations, options.resamples, np.random.default_rng([*seed, part]), options.check)

    counts = GroupCounts(compared_groups.hits, compared_groups.sizes)
    return replace(
        analysis,
        compared_groups=compared_groups,
        accuracy=accuracy_disparity(counts, options.permutations, options.resamples, np.random.default_rng([*seed, 0]), options.check),
        equalized_odds=tests(odds, 1) if len(odds.compared_classes) else (),
        demographic_parity=tests(DemographicParity(compared), 2),
        calibration=tests(CalibrationWithinGroups(compared), 3),
        class_rates=odds if len(odds.compared_classes) else None,
    )


def _regrouped(predictions: GroupedPredictions, indices: NDArray[np.int64], grouping: Grouping) -> GroupedPredictions:
    return replace(
        predictions,
        labels=predictions.labels[indices],
        predicted=predictions.predicted[indices],
        confidence=predictions.confidence[indices],
        codes=grouping.codes,
    )
