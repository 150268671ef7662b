from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from scipy import stats
from sklearn.metrics import accuracy_score

from efficient360.methods.fairness.criteria import CalibrationWithinGroups, DemographicParity, EqualizedOdds
from efficient360.methods.fairness.disparity import Disparity, GroupedPredictions, largest_excess_interval, measure_disparity
from efficient360.methods.fairness.group_accuracy import group_metrics


def predictions(sizes: tuple[int, ...] = (200, 150, 250), classes: int = 4, seed: int = 0, accuracy: float = 0.7) -> GroupedPredictions:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    labels = rng.integers(0, classes, n)
    predicted = np.where(rng.random(n) < accuracy, labels, rng.integers(0, classes, n))
    return GroupedPredictions(labels, predicted, rng.random(n), np.repeat(np.arange(len(sizes)), sizes), classes)


def differences(disparity: Disparity) -> list[float]:
    return [test.versus_null.value for test in measure_disparity(disparity, 99, 99, np.random.default_rng(0), lambda: None)]


def test_rates_are_fairlearns_for_every_class_and_group() -> None:
    data = predictions()
    odds, selection = EqualizedOdds(data, 1).observed()[0], DemographicParity(data).observed()[0]
    for c in range(4):
        by_hand = MetricFrame(
            metrics={"tpr": true_positive_rate, "fpr": false_positive_rate, "selection": selection_rate},
            y_true=data.labels == c,
            y_pred=data.predicted == c,
            sensitive_features=data.codes,
        ).by_group
        np.testing.assert_array_equal(odds[:, c], by_hand["tpr"].to_numpy(dtype=float))
        np.testing.assert_array_equal(odds[:, 4 + c], by_hand["fpr"].to_numpy(dtype=float))
        np.testing.assert_array_equal(selection[:, c], by_hand["selection"].to_numpy(dtype=float))


def test_gaps_are_fairlearns_over_classes() -> None:
    data = predictions()
    odds = [equalized_odds_difference(data.labels == c, data.predicted == c, sensitive_features=data.codes) for c in range(4)]
    parity = [demographic_parity_difference(data.labels == c, data.predicted == c, sensitive_features=data.codes) for c in range(4)]
    assert differences(EqualizedOdds(data, 1)) == pytest.approx([np.mean(odds), np.max(odds)])
    assert differences(DemographicParity(data)) == pytest.approx([np.mean(parity), np.max(parity)])


def test_fairlearns_own_difference_of_many_classes_is_that_of_class_one() -> None:
    """Why every class is looked at on its own."""
    data = predictions()
    raw = demographic_parity_difference(data.labels, data.predicted, sensitive_features=data.codes)
    assert raw == pytest.approx(demographic_parity_difference(data.labels == 1, data.predicted == 1, sensitive_features=data.codes))


def test_overconfidence_by_hand() -> None:
    data = GroupedPredictions(np.zeros(6, int), np.array([0, 0, 1, 1, 0, 1]), np.array([0.9, 0.7, 0.8, 0.6, 0.5, 0.5]), np.array([0, 0, 0, 1, 1, 1]), 2)
    assert CalibrationWithinGroups(data).observed()[0, :, 0] == pytest.approx([0.8 - 2 / 3, 1.6 / 3 - 1 / 3])
    assert differences(CalibrationWithinGroups(data)) == pytest.approx([0.2 - (0.8 - 2 / 3)])


def test_classes_too_rare_in_a_group_take_no_part() -> None:
    """Class 3 has examples enough in one group only; class 2 in two of three, and its gap is theirs."""
    data = predictions((300, 300, 300))
    labels = data.labels.copy()
    labels[(labels == 3) & (data.codes > 0)] = 0
    labels[(labels == 2) & (data.codes == 2)] = 0
    rare = EqualizedOdds(replace(data, labels=labels), 10)
    assert rare.compared_classes.tolist() == [0, 1, 2]
    true, _ = rare.class_differences(rare.observed())
    two = np.flatnonzero(data.codes < 2)
    by_hand = MetricFrame(metrics=true_positive_rate, y_true=labels[two] == 2, y_pred=data.predicted[two] == 2, sensitive_features=data.codes[two]).difference()
    assert true[0, 2] == pytest.approx(by_hand)


def test_draws_of_the_odds_are_those_of_permuted_and_resampled_examples() -> None:
    """Against moving the examples one by one: the mean and the spread of both gaps."""
    data, rng = predictions((60, 40), classes=3), np.random.default_rng(1)
    odds = EqualizedOdds(data, 1)
    moved: dict[str, list[Any]] = {"null": [], "resampled": []}
    cells = data.labels + 3 * data.codes
    for _ in range(1500):
        for how, strata in (("null", data.labels), ("resampled", cells)):
            order = np.arange(100)
            for stratum in np.unique(strata):
                members = np.flatnonzero(strata == stratum)
                order[members] = rng.permutation(members) if how == "null" else rng.choice(members, len(members))
            moved[how].append(odds.differences(EqualizedOdds(replace(data, predicted=data.predicted[order]), 1).observed())[0])
    for how, by_hand in moved.items():
        drawn = odds.differences(getattr(odds, how)(4000, np.random.default_rng(0)))
        assert drawn.mean(axis=0) == pytest.approx(np.mean(by_hand, axis=0), rel=0.06)
        assert drawn.std(axis=0) == pytest.approx(np.std(by_hand, axis=0), rel=0.1)


def test_draws_of_selection_and_overconfidence_are_those_of_moved_examples() -> None:
    data, rng = predictions((60, 40), classes=3), np.random.default_rng(1)
    for kind in (DemographicParity, CalibrationWithinGroups):
        for how in ("null", "resampled"):
            by_hand = []
            for _ in range(1000):
                order = rng.permutation(100) if how == "null" else np.concatenate([rng.integers(0, 60, 60), rng.integers(60, 100, 40)])
                again = replace(data, labels=data.labels[order], predicted=data.predicted[order], confidence=data.confidence[order])
                by_hand.append(kind(data).differences(kind(again).observed())[0])
            drawn = kind(data).differences(getattr(kind(data), how)(4000, np.random.default_rng(0)))
            assert drawn.mean(axis=0) == pytest.approx(np.mean(by_hand, axis=0), rel=0.08)
            assert drawn.std(axis=0) == pytest.approx(np.std(by_hand, axis=0), rel=0.1)


def test_null_of_the_odds_is_that_of_groups_permuted_within_classes() -> None:
    """Groups that differ in which classes they hold, not in how they are classified: the odds show nothing, the selection rates everything."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([rng.choice(3, 400, p=[0.7, 0.2, 0.1]), rng.choice(3, 400, p=[0.1, 0.2, 0.7])])
    predicted = np.where(rng.random(800) < 0.8, labels, rng.integers(0, 3, 800))
    data = GroupedPredictions(labels, predicted, rng.random(800), np.repeat([0, 1], 400), 3)
    odds = measure_disparity(EqualizedOdds(data, 10), 499, 99, np.random.default_rng(0), lambda: None)
    selection = measure_disparity(DemographicParity(data), 499, 99, np.random.default_rng(0), lambda: None)
    assert all(gap.versus_null.p_value > 0.05 for gap in odds)
    assert all(gap.versus_null.p_value == 1 / 500 for gap in selection)


def test_intervals_cover_the_true_gap() -> None:
    """Selection rates of two classes in two groups: 30 and 50 %."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(60):
        predicted = np.concatenate([rng.random(300) < 0.3, rng.random(300) < 0.5]).astype(int)
        data = GroupedPredictions(np.zeros(600, int), predicted, rng.random(600), np.repeat([0, 1], 300), 2)
        gap = measure_disparity(DemographicParity(data), 99, 199, rng, lambda: None)[1]
        covered += gap.interval.low <= 0.2 <= gap.interval.high
        assert gap.excess_interval.low <= gap.versus_null.excess <= gap.excess_interval.high
    assert covered >= 53


def test_the_deadline_is_looked_at_between_chunks() -> None:
    def spent() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        measure_disparity(DemographicParity(predictions()), 99, 99, np.random.default_rng(0), spent)


def test_group_metrics_are_metric_frames() -> None:
    data = predictions()
    result = group_metrics(data)
    by_hand = MetricFrame(metrics=accuracy_score, y_true=data.labels, y_pred=data.predicted, sensitive_features=data.codes)
    assert result.accuracy == pytest.approx(by_hand.by_group.to_numpy())
    assert (result.difference, result.ratio, result.group_min) == (by_hand.difference(), by_hand.ratio(), by_hand.group_min())
    assert result.sizes.tolist() == [200, 150, 250]
    assert result.hits.tolist() == [int(data.correct[data.codes == g].sum()) for g in range(3)]
    assert result.overconfidence == pytest.approx([data.confidence[data.codes == g].mean() - data.correct[data.codes == g].mean() for g in range(3)])


def test_the_largest_of_several_gaps_answers_for_all_of_them() -> None:
    draws = [np.random.default_rng(seed).normal(0.3, 0.1, 4000) for seed in range(4)]
    one = largest_excess_interval([0.02], draws[:1], 1.0)
    assert (one.low, one.high) == (pytest.approx(0.02 - 0.196, abs=0.01), pytest.approx(0.02 + 0.196, abs=0.01))
    four = largest_excess_interval([0.02, 0.0, -0.05, 0.01], draws, 1.0)
    assert four.low == pytest.approx(0.02 - 0.1 * stats.norm.ppf(1 - (1 - 0.95**0.25) / 2), abs=0.01)
    assert four.high == pytest.approx(one.high, abs=0.02)
