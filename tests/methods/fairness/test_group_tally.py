import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from efficient360.core.statistics import wilson
from efficient360.methods.fairness import tally
from efficient360.methods.fairness.lowest import lowest, sorted_classes
from efficient360.methods.fairness.tally import Tally


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of(hits: list[int], sizes: list[int]) -> Tally:
    return Tally(np.array(hits), np.array(sizes))


def test_counts_by_group() -> None:
    found = tally.tally(np.array([0, 1, 0, 1, 1]), np.array([1.0, 0, 1, 1, 0]), 2)
    assert (found.hits.tolist(), found.sizes.tolist(), found.values.tolist()) == ([2, 1], [2, 3], [1.0, 1 / 3])
    assert (found.overall, found.worst, found.interval(1)) == (0.6, 1, wilson(1, 3))


def test_chance_is_that_of_permuted_labels() -> None:
    """Against permuting the labels one by one."""
    counted = of([30, 20, 5], [40, 40, 10])
    codes, correct = np.repeat([0, 1, 2], counted.sizes), np.zeros(90)
    correct[:55] = 1
    generator = rng(1)
    by_hand = np.array([tally.tally(codes, generator.permutation(correct), 3).values for _ in range(4000)])
    found = tally.chance(counted, 4000, rng())
    assert found.mean(axis=0) == pytest.approx(by_hand.mean(axis=0), abs=0.01)
    assert found.std(axis=0) == pytest.approx(by_hand.std(axis=0), rel=0.08)
    assert tally.differences(found).mean() == pytest.approx(tally.differences(by_hand).mean(), abs=0.01)
    assert found @ counted.sizes == pytest.approx(55)


def test_ten_groups_of_ninety_at_89_percent_differ_by_ten_points_by_chance() -> None:
    assert tally.differences(tally.chance(of([80] * 10, [90] * 10), 4000, rng())).mean() == pytest.approx(0.102, abs=0.003)


def test_interval_of_two_groups_is_that_of_a_difference_of_proportions() -> None:
    counted = of([900, 800], [1000, 1000])
    found = tally.difference_interval(counted, tally.errors(counted, 20000, rng()))
    half = 1.96 * np.sqrt(0.9 * 0.1 / 1000 + 0.8 * 0.2 / 1000)
    assert (found.low, found.high) == (pytest.approx(0.1 - half, abs=0.002), pytest.approx(0.1 + half, abs=0.002))


@pytest.mark.parametrize("accuracy", [(0.9, 0.8), (0.9, 0.9, 0.9, 0.9), (0.99, 0.9, 0.9, 0.8, 0.7)])
def test_interval_of_the_difference_covers_the_true_one(accuracy: tuple[float, ...]) -> None:
    generator, sizes, covered, ratios = rng(), np.full(len(accuracy), 200), 0, 0
    for _ in range(200):
        counted = Tally(generator.binomial(sizes, accuracy), sizes)
        strayed = tally.errors(counted, 400, generator)
        found, ratio = tally.difference_interval(counted, strayed), tally.ratio_interval(counted, strayed)
        covered += found.low <= max(accuracy) - min(accuracy) <= found.high
        ratios += ratio.low <= min(accuracy) / max(accuracy) <= ratio.high
    assert covered >= 182
    assert ratios >= 182


def test_ratio_by_hand_and_its_edges() -> None:
    assert tally.ratio(of([50, 80], [100, 100])) == 0.625
    assert tally.ratio(of([0, 0], [9, 9])) is None
    none = of([0, 80], [100, 100])
    found = tally.ratio_interval(none, tally.errors(none, 500, rng()))
    assert tally.ratio(none) == found.low == 0
    assert 0 < found.high < 0.2


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), min_size=2, max_size=6), st.integers(0, 9))
@settings(deadline=None, max_examples=50)
def test_intervals_hold_their_value(groups: list[tuple[int, float]], seed: int) -> None:
    counted = of([round(size * share) for size, share in groups], [size for size, _ in groups])
    strayed = tally.errors(counted, 100, rng(seed))
    value, ratio = float(tally.differences(counted.values[None])[0]), tally.ratio(counted)
    found = tally.difference_interval(counted, strayed)
    assert 0 <= found.low <= value <= found.high <= 1
    if ratio is not None:
        bounds = tally.ratio_interval(counted, strayed)
        assert 0 <= bounds.low <= ratio <= bounds.high <= 1


def test_two_groups_stand_out_from_each_other_as_in_fishers_exact_test() -> None:
    counted = of([36, 28], [40, 40])
    found = tally.against_rest(counted, tally.chance(counted, 20000, rng()))
    exact = stats.fisher_exact([[36, 4], [28, 12]]).pvalue
    assert found == pytest.approx([exact, exact], abs=0.006)


def test_the_p_value_of_a_group_is_corrected_for_the_number_of_groups() -> None:
    """At most twenty times that of the group alone (Bonferroni), and far above it."""
    counted = of([28, *[36] * 19], [40] * 20)
    hits = stats.hypergeom(800, int(counted.hits.sum()), 40)
    away = 40 * counted.overall - 28
    alone = hits.cdf(28) + hits.sf(np.ceil(28 + 2 * away) - 1)
    found = tally.against_rest(counted, tally.chance(counted, 20000, rng()))
    assert 8 * alone < found[0] < 20 * alone + 0.003
    assert (found[1:] > 0.9).all()


def test_where_all_are_right_nobody_stands_out() -> None:
    counted = of([9, 9], [9, 9])
    assert tally.against_rest(counted, tally.chance(counted, 99, rng())).tolist() == [1, 1]


def test_lowest_of_classes_and_what_chance_gives() -> None:
    counted = of([50, 90, 91, 92], [100] * 4)
    found = lowest(counted, 1, 2000, [0])
    assert (found.value, found.interval, found.n) == (0.5, wilson(50, 100), 100)
    # The least of four nearly normal values lies 1.03 deviations below their mean; that all four make up the mean cancels out.
    overall = 323 / 400
    assert found.chance == pytest.approx(overall - 1.03 * np.sqrt(overall * (1 - overall) / 100 * 400 / 399), abs=0.006)
    assert found.chance_interval.low < found.chance < found.chance_interval.high
    two = lowest(counted, 2, 2000, [0])
    assert (two.value, two.n) == (0.7, 200)
    half = 1.96 * np.sqrt((0.25 + 0.09) / 100) / 2
    assert (two.interval.low, two.interval.high) == (pytest.approx(0.7 - half, abs=0.012), pytest.approx(0.7 + half, abs=0.012))


def test_the_curve_sorts_classes_over_the_band_of_chance() -> None:
    chance, measured = sorted_classes(of([9, 2, 5], [10] * 3), 500, [0], "class").series
    assert measured.y == (0.2, 0.5, 0.9)
    assert measured.low[0] == wilson(2, 10).low
    assert chance.low[0] <= chance.y[0] <= chance.y[2] <= chance.high[2]
