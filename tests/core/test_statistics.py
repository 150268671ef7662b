import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import quantile_test

from efficient360.core.measurement import ONE, Better, Interval, Metric
from efficient360.core.statistics import (
    bootstrap_mean,
    centred_bootstrap,
    clopper_pearson,
    holm,
    mcnemar,
    mean_interval,
    median_interval,
    monte_carlo_test,
    newcombe,
    newcombe_paired,
    paired_interval,
    paired_p_value,
    percentiles,
    percentiles_around,
    student,
    value_range,
    wilson,
    within,
)

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def wilson_by_formula(successes: int, n: int) -> tuple[float, float]:
    z, p = stats.norm.ppf(0.975), successes / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def test_wilson_against_a_published_value() -> None:
    # Newcombe 1998, Table I: 81 of 263, method 3: 0.2553 to 0.3662.
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4), found.method) == (0.2553, 0.3662, "wilson")


@given(counts)
def test_wilson_against_its_formula_and_within_bounds(case: tuple[int, int]) -> None:
    found = wilson(*case)
    assert (found.low, found.high) == pytest.approx(wilson_by_formula(*case), abs=1e-12)
    assert 0 <= found.low <= case[0] / case[1] <= found.high <= 1


@given(counts)
def test_clopper_pearson_holds_the_tails_exactly(case: tuple[int, int]) -> None:
    successes, n = case
    found = clopper_pearson(successes, n)
    if successes > 0:
        assert stats.binom.sf(successes - 1, n, found.low) == pytest.approx(0.025, abs=1e-6)
    if successes < n:
        assert stats.binom.cdf(successes, n, found.high) == pytest.approx(0.025, abs=1e-6)
    assert found.low <= wilson(*case).low + 0.01
    assert found.method == "clopper-pearson"


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (5, 4), (-1, 4)])
def test_an_impossible_proportion_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=r"[kn]"):
        wilson(successes, n)


def test_the_bootstrap_has_the_width_of_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(3, 2, 2000)
    found = bootstrap_mean(values, seed=0, resamples=4000)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert found.method == "bootstrap-t"


def test_the_bootstrap_covers() -> None:
    rng = np.random.default_rng(1)
    found = [bootstrap_mean(rng.exponential(1.0, 80), seed=seed, resamples=300) for seed in range(150)]
    covered = np.mean([i.low <= 1 <= i.high for i in found])
    assert covered >= 0.89  # 95 % in truth, and 150 repeats have a standard error of 1.8 %


def test_the_bootstrap_covers_a_few_large_values_among_zeros() -> None:
    """Percentiles of resampled means cover 88 % here."""
    rng = np.random.default_rng(2)
    found = [bootstrap_mean(rng.exponential(1.0, 50) * (rng.random(50) < 0.15), seed=seed, resamples=300) for seed in range(300)]
    covered = np.mean([i.low <= 0.15 <= i.high for i in found])
    assert covered >= 0.92  # 96 % in truth, a standard error of 1.1 %


@given(st.lists(st.floats(-1e3, 1e3), min_size=10, max_size=40))
def test_the_bootstrap_encloses_the_mean_within_the_values(values: list[float]) -> None:
    found = bootstrap_mean(np.array(values), 0, resamples=50)
    assert min(values) - 1e-9 <= found.low <= np.mean(values) + 1e-9
    assert np.mean(values) - 1e-9 <= found.high <= max(values) + 1e-9


@pytest.mark.parametrize("values", [(3.0,), (3.0, 1.0, 2.0)])
def test_a_range_is_no_confidence_interval_and_one_value_has_none(values: tuple[float, ...]) -> None:
    assert value_range(values) == (Interval(1.0, 3.0, "range", None) if len(values) > 1 else None)


def test_an_interval_is_cut_at_the_bounds_of_its_metric() -> None:
    share, free = Metric("share", ONE, Better.HIGHER, "", low=0, high=1), Metric("free", ONE, Better.HIGHER, "")
    wide = Interval(-0.2, 1.4, "student-t", conditional_on="one shuffle")
    assert within(wide, share) == Interval(0, 1, "student-t", conditional_on="one shuffle")
    assert within(wide, free) == wide


def test_the_bootstrap_is_seeded_and_exact_for_what_does_not_vary() -> None:
    values = np.random.default_rng(2).random(50)
    assert bootstrap_mean(values, 3) == bootstrap_mean(values, 3)
    assert bootstrap_mean(values, 3) != bootstrap_mean(values, 4)
    for constant in (np.full(9, 0.3), np.array([0.3])):
        found = bootstrap_mean(constant, 0)
        assert found.low == found.high == pytest.approx(0.3)


def test_a_mean_of_hits_gets_wilson_and_any_other_the_bootstrap() -> None:
    assert mean_interval(np.array([1.0, 0.0, 1.0, 1.0]), 0) == wilson(3, 4)
    assert mean_interval(np.array([1.0, 0.5, 1.0, 0.0] * 3), 0).method == "bootstrap-t"
    assert mean_interval(np.array([1.0, 0.5, 1.0, 0.0]), 0) == student(np.array([1.0, 0.5, 1.0, 0.0]), "student-t")


def test_mcnemar_by_hand() -> None:
    # 6 pairs right for the first alone, 1 for the second alone: 2 · (C(7,0) + C(7,1)) / 2⁷ = 0.125. Concordant pairs don't matter.
    first = np.array([1] * 6 + [0] + [1] * 20 + [0] * 5)
    second = np.array([0] * 6 + [1] + [1] * 20 + [0] * 5)
    assert mcnemar(first, second) == pytest.approx(0.125)
    assert mcnemar(second, first) == pytest.approx(0.125)
    assert mcnemar(first, first) == 1


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_mcnemar_is_the_sign_test(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    wins, losses = int((first > second).sum()), int((first < second).sum())
    expected = min(1.0, 2 * stats.binom.cdf(min(wins, losses), wins + losses, 0.5))
    assert mcnemar(first, second) == pytest.approx(expected)
    assert paired_p_value(first, second) == mcnemar(first, second)


def test_paired_t_by_hand() -> None:
    # Eight differences of 1 and eight of 3: mean 2, variance 16/15, standard error 1/√15, t = 2√15 with 15 degrees of freedom.
    p = paired_p_value(np.array([1.5] * 8 + [3.5] * 8), np.full(16, 0.5))
    assert p == pytest.approx(2 * stats.t.sf(2 * math.sqrt(15), 15))


def test_few_differences_flip_their_signs_by_hand() -> None:
    # Of the eight ways to sign 1, 2, 3 only two are as far from 0 as +1 +2 +3.
    assert paired_p_value(np.array([1.5, 3.0, 4.0]), np.array([0.5, 1.0, 1.0])) == 2 / 8


def test_paired_values_that_do_not_vary() -> None:
    assert paired_p_value(np.array([0.5, 0.7]), np.array([0.5, 0.7])) == 1
    assert paired_p_value(np.full(20, 0.75), np.full(20, 0.25)) == 0
    assert paired_p_value(np.array([0.75, 1.25]), np.array([0.25, 0.75])) == 2 / 4
    assert paired_p_value(np.array([0.7]), np.array([0.2])) == 1


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, then 0.04 raised to 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_raw_values_and_bonferroni_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for raw, new in zip(p_values, adjusted, strict=True):
        assert raw <= new <= 1
    assert min(adjusted) == pytest.approx(min(1, len(p_values) * min(p_values)))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_percentiles_around_a_value_hold_it() -> None:
    draws = np.arange(101.0)
    assert percentiles_around(50.0, draws, "draws") == percentiles(draws, "draws") == Interval(2.5, 97.5, "draws")
    assert percentiles_around(-1.0, draws, "draws") == Interval(-1.0, 97.5, "draws")
    assert percentiles_around(99.0, draws, "draws") == Interval(2.5, 99.0, "draws")


def test_excess_and_p_value_by_hand() -> None:
    result = monte_carlo_test(0.3, np.array([0.1, 0.2, 0.3, 0.4]))
    assert (result.null_mean, result.excess, result.exceedances) == (0.25, pytest.approx(0.05), 2)
    assert result.p_value == 3 / 5


def test_a_p_value_is_never_zero() -> None:
    assert monte_carlo_test(1.0, np.zeros(99)).p_value == 0.01


def test_draws_that_differ_by_rounding_count_as_equal() -> None:
    assert monte_carlo_test(0.1 + 0.2, np.array([0.3])).exceedances == 1


def test_interval_of_a_p_value_is_scaled_with_its_correction() -> None:
    result = monte_carlo_test(0.5, np.linspace(0, 1, 101)[:-1])  # 50 of 100 reach it
    plain, corrected = result.p_interval(result.p_value), result.p_interval(2 * result.p_value)
    assert plain.low <= result.p_value <= plain.high
    assert corrected.low == pytest.approx(2 * plain.low)
    assert corrected.high == 1


def test_a_centred_interval_has_the_spread_of_the_draws_around_the_value() -> None:
    draws = np.random.default_rng(0).normal(5, 1, 10000)
    result = centred_bootstrap(0.0, draws, -10, 10)
    assert (result.low, result.high) == (pytest.approx(-1.96, abs=0.06), pytest.approx(1.96, abs=0.06))
    assert centred_bootstrap(0.0, draws, -1, 1).low == -1
    assert centred_bootstrap(0.5, np.zeros(9), 0, 1).high == 0.5


def test_six_values_by_hand() -> None:
    """All six lie on one side of the median with probability 2 / 64: the smallest and the largest enclose it with 96.9 % confidence."""
    interval = median_interval(np.array([5.0, 1.0, 3.0, 2.0, 9.0, 4.0]))
    assert (interval.low, interval.high, interval.method) == (1.0, 9.0, "order-statistics")


@pytest.mark.parametrize("n", [6, 7, 15, 30, 101, 1000])
def test_it_is_scipys_interval_of_a_quantile(n: int) -> None:
    values = np.random.default_rng(n).random(n)
    interval, theirs = median_interval(values), quantile_test(values, q=np.median(values), p=0.5).confidence_interval(0.95)
    assert (interval.low, interval.high) == (theirs.low, theirs.high)
    assert interval.low <= np.median(values) <= interval.high


def test_five_values_are_too_few() -> None:
    with pytest.raises(ValueError, match="5 values give no 95 % interval"):
        median_interval(np.arange(5.0))


proportions = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
paired = st.tuples(*[st.integers(0, 80)] * 4).filter(lambda counts: sum(counts) > 0)


def wilson_limits(hits: int, n: int) -> tuple[float, float]:
    """The roots of (p̂ − p)² = z² p (1 − p) / n."""
    z2, p = stats.norm.ppf(0.975) ** 2, hits / n
    root = math.sqrt(z2 * (z2 + 4 * n * p * (1 - p)))
    return (2 * n * p + z2 - root) / (2 * (n + z2)), (2 * n * p + z2 + root) / (2 * (n + z2))


@pytest.mark.parametrize(
    ("case", "published"),
    [
        # Newcombe 1998, Statistics in Medicine 17:873–890, Table II, method 10.
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((0, 10, 0, 10), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
        ((10, 10, 0, 10), (0.6075, 1.0)),
        # Fagerland, Lydersen & Laake 2017, Statistical Analysis of Contingency Tables, chapter 4: high against standard dose of epinephrine.
        ((7, 34, 1, 34), (0.0189, 0.3404)),
    ],
)
def test_independent_samples_against_published_intervals(case: tuple[int, int, int, int], published: tuple[float, float]) -> None:
    interval = newcombe(*case)
    assert (interval.low, interval.high) == pytest.approx(published, abs=5.1e-5)
    assert interval.method == "newcombe"


def test_the_same_examples_twice_against_a_published_interval() -> None:
    # Fagerland, Lydersen & Laake 2017, chapter 8: complete response before and after consolidation therapy.
    interval = newcombe_paired(59, 6, 16, 80)
    assert (interval.low, interval.high) == pytest.approx((-0.1186, -0.0046), abs=5.1e-5)
    assert interval.method == "newcombe-paired"


@given(proportions, proportions)
def test_independent_samples_against_the_formula(first: tuple[int, int], second: tuple[int, int]) -> None:
    (low1, high1), (low2, high2) = wilson_limits(*first), wilson_limits(*second)
    p, q = first[0] / first[1], second[0] / second[1]
    interval = newcombe(*first, *second)
    assert interval.low == pytest.approx(p - q - math.sqrt((p - low1) ** 2 + (high2 - q) ** 2), abs=1e-9)
    assert interval.high == pytest.approx(p - q + math.sqrt((high1 - p) ** 2 + (q - low2) ** 2), abs=1e-9)


@given(proportions, proportions)
def test_the_other_way_round_is_the_negative(first: tuple[int, int], second: tuple[int, int]) -> None:
    interval, back = newcombe(*first, *second), newcombe(*second, *first)
    assert (interval.low, interval.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert -1 <= interval.low <= first[0] / first[1] - second[0] / second[1] <= interval.high <= 1


@given(paired)
def test_pairs_the_other_way_round_are_the_negative(counts: tuple[int, int, int, int]) -> None:
    both, first, second, neither = counts
    interval, back = newcombe_paired(both, first, second, neither), newcombe_paired(both, second, first, neither)
    assert (interval.low, interval.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert -1 <= interval.low <= (first - second) / sum(counts) <= interval.high <= 1


@given(paired)
def test_pairs_that_tell_nothing_of_each_other_are_as_independent_ones(counts: tuple[int, int, int, int]) -> None:
    both, first, second, neither = counts
    n, product = sum(counts), both * neither - first * second
    interval, independent = newcombe_paired(*counts), newcombe(both + first, n, both + second, n)
    width, wide = interval.high - interval.low, independent.high - independent.low
    if 0 <= product <= n / 2:
        assert (interval.low, interval.high) == pytest.approx((independent.low, independent.high), abs=1e-9)
    elif product > 0:
        assert width <= wide + 1e-12
    else:
        assert width >= wide - 1e-12


def test_pairs_that_agree_tell_more_than_independent_samples() -> None:
    pairs, independent = newcombe_paired(70, 10, 0, 20), newcombe(80, 100, 70, 100)
    assert pairs.low > 0 > independent.low


@pytest.mark.parametrize("call", [lambda: newcombe(0, 0, 1, 2), lambda: newcombe(3, 2, 1, 2), lambda: newcombe_paired(0, 0, 0, 0)])
def test_no_examples_and_impossible_counts_are_refused(call) -> None:
    with pytest.raises(ValueError, match=r"."):
        call()


def test_the_interval_of_a_paired_difference_is_that_of_its_kind() -> None:
    first, second = np.array([1.0, 1, 0, 0, 1]), np.array([1.0, 0, 1, 1, 1])
    assert paired_interval(first, second, seed=0) == newcombe_paired(2, 2, 1, 0)
    losses = np.linspace(0.0, 3.0, 20) ** 2
    assert paired_interval(losses, 2 * losses, seed=1) == bootstrap_mean(losses, seed=1)
