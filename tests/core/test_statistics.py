import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from efficient360.core.measurement import Interval
from efficient360.core.statistics import (
    bootstrap_mean,
    clopper_pearson,
    holm,
    mcnemar,
    mean_interval,
    paired_p_value,
    percentiles,
    percentiles_around,
    wilson,
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
    assert found.method == "bootstrap"


def test_the_bootstrap_covers() -> None:
    rng = np.random.default_rng(1)
    found = [bootstrap_mean(rng.exponential(1.0, 80), seed=seed, resamples=300) for seed in range(150)]
    covered = np.mean([i.low <= 1 <= i.high for i in found])
    assert covered >= 0.87  # 95 % in truth; a skewed sample of 80 under-covers a little, and 150 repeats have a standard error of 1.9 %


def test_the_bootstrap_is_seeded_and_exact_for_what_does_not_vary() -> None:
    values = np.random.default_rng(2).random(50)
    assert bootstrap_mean(values, 3) == bootstrap_mean(values, 3)
    assert bootstrap_mean(values, 3) != bootstrap_mean(values, 4)
    for constant in (np.full(9, 0.3), np.array([0.3])):
        found = bootstrap_mean(constant, 0)
        assert found.low == found.high == pytest.approx(0.3)


def test_a_mean_of_hits_gets_wilson_and_any_other_the_bootstrap() -> None:
    assert mean_interval(np.array([1.0, 0.0, 1.0, 1.0]), 0) == wilson(3, 4)
    assert mean_interval(np.array([1.0, 0.5, 1.0, 0.0]), 0).method == "bootstrap"


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
    # Differences 1, 2, 3: mean 2, standard error 1/√3, t = 2√3 with two degrees of freedom.
    p = paired_p_value(np.array([1.5, 3.0, 4.0]), np.array([0.5, 1.0, 1.0]))
    assert p == pytest.approx(2 * stats.t.sf(2 * math.sqrt(3), 2))


def test_paired_values_that_do_not_vary() -> None:
    assert paired_p_value(np.array([0.5, 0.7]), np.array([0.5, 0.7])) == 1
    assert paired_p_value(np.array([0.75, 1.25]), np.array([0.25, 0.75])) == 0
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
