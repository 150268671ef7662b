import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from efficient360.core.statistics import wilson
from efficient360.methods.fairness.group_accuracy import (
    GroupCounts,
    bootstrap_errors,
    count_hits,
    difference_interval,
    differences,
    lowest_interval,
    null_rates,
    p_values_against_rest,
    ratio,
    ratio_interval,
)
from efficient360.methods.fairness.worst_groups import sorted_accuracy_curve, worst_k


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def group_counts(hits: list[int], sizes: list[int]) -> GroupCounts:
    return GroupCounts(np.array(hits), np.array(sizes))


def test_counts_by_group() -> None:
    result = count_hits(np.array([0, 1, 0, 1, 1]), np.array([1.0, 0, 1, 1, 0]), 2)
    assert (result.hits.tolist(), result.sizes.tolist(), result.rates.tolist()) == ([2, 1], [2, 3], [1.0, 1 / 3])
    assert (result.overall, result.worst, result.interval(1)) == (0.6, 1, wilson(1, 3))


def test_chance_is_that_of_permuted_labels() -> None:
    """Against permuting the labels one by one."""
    counts = group_counts([30, 20, 5], [40, 40, 10])
    codes, correct = np.repeat([0, 1, 2], counts.sizes), np.zeros(90)
    correct[:55] = 1
    generator = rng(1)
    by_hand = np.array([count_hits(codes, generator.permutation(correct), 3).rates for _ in range(4000)])
    result = null_rates(counts, 4000, rng())
    assert result.mean(axis=0) == pytest.approx(by_hand.mean(axis=0), abs=0.01)
    assert result.std(axis=0) == pytest.approx(by_hand.std(axis=0), rel=0.08)
    assert differences(result).mean() == pytest.approx(differences(by_hand).mean(), abs=0.01)
    assert result @ counts.sizes == pytest.approx(55)


def test_ten_groups_of_ninety_at_89_percent_differ_by_ten_points_by_chance() -> None:
    assert differences(null_rates(group_counts([80] * 10, [90] * 10), 4000, rng())).mean() == pytest.approx(0.102, abs=0.003)


def test_interval_of_two_groups_is_that_of_a_difference_of_proportions() -> None:
    counts = group_counts([900, 800], [1000, 1000])
    result = difference_interval(counts, bootstrap_errors(counts, 20000, rng()))
    half = 1.96 * np.sqrt(0.9 * 0.1 / 1000 + 0.8 * 0.2 / 1000)
    assert (result.low, result.high) == (pytest.approx(0.1 - half, abs=0.002), pytest.approx(0.1 + half, abs=0.002))


@pytest.mark.parametrize("accuracy", [(0.9, 0.8), (0.9, 0.9, 0.9, 0.9), (0.99, 0.9, 0.9, 0.8, 0.7)])
def test_interval_of_the_difference_covers_the_true_one(accuracy: tuple[float, ...]) -> None:
    generator, sizes, covered, ratios = rng(), np.full(len(accuracy), 200), 0, 0
    for _ in range(200):
        counts = GroupCounts(generator.binomial(sizes, accuracy), sizes)
        errors = bootstrap_errors(counts, 400, generator)
        difference_bounds, ratio_bounds = difference_interval(counts, errors), ratio_interval(counts, errors)
        covered += difference_bounds.low <= max(accuracy) - min(accuracy) <= difference_bounds.high
        ratios += ratio_bounds.low <= min(accuracy) / max(accuracy) <= ratio_bounds.high
    assert covered >= 182
    assert ratios >= 182


def test_ratio_by_hand_and_its_edges() -> None:
    assert ratio(group_counts([50, 80], [100, 100])) == 0.625
    assert ratio(group_counts([0, 0], [9, 9])) is None
    none = group_counts([0, 80], [100, 100])
    result = ratio_interval(none, bootstrap_errors(none, 500, rng()))
    assert ratio(none) == result.low == 0
    assert 0 < result.high < 0.2


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), min_size=2, max_size=6), st.integers(0, 9))
@settings(deadline=None, max_examples=50)
def test_intervals_hold_their_value(groups: list[tuple[int, float]], seed: int) -> None:
    counts = group_counts([round(size * share) for size, share in groups], [size for size, _ in groups])
    errors = bootstrap_errors(counts, 100, rng(seed))
    difference, lowest_over_highest = float(differences(counts.rates[None])[0]), ratio(counts)
    result = difference_interval(counts, errors)
    assert 0 <= result.low <= difference <= result.high <= 1
    if lowest_over_highest is not None:
        bounds = ratio_interval(counts, errors)
        assert 0 <= bounds.low <= lowest_over_highest <= bounds.high <= 1


def test_two_groups_stand_out_from_each_other_as_in_fishers_exact_test() -> None:
    counts = group_counts([36, 28], [40, 40])
    result = p_values_against_rest(counts, null_rates(counts, 20000, rng()))
    exact = stats.fisher_exact([[36, 4], [28, 12]]).pvalue
    assert result == pytest.approx([exact, exact], abs=0.006)


def test_the_p_value_of_a_group_is_corrected_for_the_number_of_groups() -> None:
    """At most twenty times that of the group alone (Bonferroni), and far above it."""
    counts = group_counts([28, *[36] * 19], [40] * 20)
    hits = stats.hypergeom(800, int(counts.hits.sum()), 40)
    away = 40 * counts.overall - 28
    alone = hits.cdf(28) + hits.sf(np.ceil(28 + 2 * away) - 1)
    result = p_values_against_rest(counts, null_rates(counts, 20000, rng()))
    assert 8 * alone < result[0] < 20 * alone + 0.003
    assert (result[1:] > 0.9).all()


def test_where_all_are_right_nobody_stands_out() -> None:
    counts = group_counts([9, 9], [9, 9])
    assert p_values_against_rest(counts, null_rates(counts, 99, rng())).tolist() == [1, 1]


def test_worst_k_and_its_null() -> None:
    counts = group_counts([50, 90, 91, 92], [100] * 4)
    result = worst_k(counts, 1, 2000, [0])
    assert (result.value, result.n) == (0.5, 100)
    # Below, the lowest class by itself; above, every class at once: the smallest of four upper ends.
    simultaneous = wilson(50, 100, 1 - 2 * (1 - 0.975 ** (1 / 4)))
    assert (result.interval.low, result.interval.high) == (wilson(50, 100).low, simultaneous.high)
    # The least of four nearly normal values lies 1.03 deviations below their mean; that all four make up the mean cancels out.
    overall = 323 / 400
    assert result.null_mean == pytest.approx(overall - 1.03 * np.sqrt(overall * (1 - overall) / 100 * 400 / 399), abs=0.006)
    assert result.null_interval.low < result.null_mean < result.null_interval.high
    two = worst_k(counts, 2, 2000, [0])
    assert (two.value, two.n) == (0.7, 200)
    half = 1.96 * np.sqrt((0.25 + 0.09) / 100) / 2
    assert two.interval.low == pytest.approx(0.7 - half, abs=0.012)
    assert 0.7 + half - 0.012 < two.interval.high < 0.7 + 1.5 * half


@pytest.mark.parametrize("k", [1, 4])
def test_the_lowest_of_equal_classes_is_covered(k: int) -> None:
    """Wilson's interval of the class that came out lowest covers 69 % here: it takes the selection as given."""
    drawn = np.random.default_rng(0)
    results = [worst_k(GroupCounts(drawn.binomial(90, np.full(10, 0.89)), np.full(10, 90)), k, 300, [seed]) for seed in range(200)]
    assert np.mean([r.interval.low <= 0.89 <= r.interval.high for r in results]) >= 0.93


def test_the_lowest_over_several_columns_answers_for_all_of_them() -> None:
    first, second = group_counts([80, 85], [100] * 2), group_counts([50, 90], [100] * 2)
    both = lowest_interval(first, second)
    assert both.low == wilson(50, 100).low
    assert both.high == lowest_interval(group_counts([80, 85, 50, 90], [100] * 4)).high > lowest_interval(second).high


def test_the_curve_sorts_classes_over_the_band_of_chance() -> None:
    null_band, measured = sorted_accuracy_curve(group_counts([9, 2, 5], [10] * 3), 500, [0], "class").series
    assert measured.y == (0.2, 0.5, 0.9)
    assert measured.low[0] == wilson(2, 10).low
    assert null_band.low[0] <= null_band.y[0] <= null_band.y[2] <= null_band.high[2]
