"""Tests between two values, held against scipy's own."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from compared_runs import ECE
from efficient360.core.measurement import Interval, Measurement
from efficient360.core.statistics import holm, newcombe_paired, paired_p_value, sign_flip_p_value, student
from efficient360.reports.comparing import evidence
from efficient360.reports.comparing.evidence import Kind, difference_interval, interval_p_value, swap_p_value, untested_reason, weigh
from efficient360.reports.comparing.example_values import ExampleValues, OfExamples, OfMeans, Paired, pair

RNG = np.random.default_rng(0)


def measurement(value: float, n: int, interval: Interval | None, repeatable: bool = False) -> Measurement:
    return Measurement(ECE, value, n, interval, repeatable=repeatable)


@pytest.mark.parametrize("k", [2, 3, 8, 14])
def test_signs_are_flipped_as_scipy_does(k: int) -> None:
    differences = np.concatenate([RNG.normal(0.4, 1, k), np.zeros(30)])
    exact = stats.permutation_test((differences[:k],), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p_value(differences) == pytest.approx(exact.pvalue)


def test_few_differences_are_not_left_to_t() -> None:
    first, second = np.zeros(100), np.zeros(100)
    second[:5] = 0.2
    assert stats.ttest_rel(first, second).pvalue == pytest.approx(0.025, abs=0.001)
    assert paired_p_value(first, second) == 2**-4
    assert paired_p_value(second, second) == 1.0
    second[:40] = RNG.random(40)
    assert paired_p_value(first, second) == pytest.approx(stats.ttest_rel(first, second).pvalue)


def test_a_ratio_is_tested_by_swaps_as_scipy_does() -> None:
    clean = (RNG.random((60, 2)) < 0.9).astype(float)
    worse = clean * (RNG.random((60, 2)) < [0.6, 0.85])
    ratio = OfMeans(lambda means, n: means[:, 1] / means[:, 0])
    paired = Paired(np.stack([clean[:, 0], worse[:, 0]], 1), np.stack([clean[:, 1], worse[:, 1]], 1), ratio)

    def difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        of = lambda rows: worse.T.ravel()[rows].mean(axis) / clean.T.ravel()[rows].mean(axis)  # noqa: E731
        return of(y) - of(x)

    rows = np.arange(60), np.arange(60) + 60
    expected = stats.permutation_test(rows, difference, permutation_type="samples", n_resamples=9999, vectorized=True, random_state=np.random.default_rng(1))
    assert swap_p_value(paired) == pytest.approx(expected.pvalue, abs=0.01)


def test_sorted_statistics_and_means_are_swapped_alike() -> None:
    first, second = RNG.random((2, 40, 1))
    by_mean, by_example = (Paired(first, second, of) for of in (OfMeans(lambda means, n: means[:, 0]), OfExamples(lambda values: values.mean(axis=1)[:, 0])))
    assert swap_p_value(by_mean) == pytest.approx(swap_p_value(by_example), abs=0.02)


def test_correct_and_incorrect_are_tested_by_mcnemar_with_newcombes_interval() -> None:
    first, second = (np.array([1] * a + [0] * b + [1] * 20, dtype=float) for a, b in ((9, 2), (0, 11)))
    second[9:11] = 1
    a, b = (measurement(float(v.mean()), 31, Interval(0, 1, "wilson")) for v in (first, second))
    found = weigh(a, b, Paired(first[:, None], second[:, None]))
    assert found.kind is Kind.PAIRED
    assert found.p_value == pytest.approx(stats.binomtest(9, 11).pvalue)
    expected = newcombe_paired(20, 2, 9, 0)
    assert found.interval == expected
    assert expected.low < second.mean() - first.mean() < expected.high
    assert found.pairs == 31


def test_repeats_are_tested_as_two_samples() -> None:
    x, y = RNG.normal(0.5, 0.01, 3), RNG.normal(0.53, 0.02, 3)
    a, b = (measurement(float(v.mean()), 3, student(v, "student-t over seeds")) for v in (x, y))
    found = weigh(a, b, None)
    assert found.kind is Kind.REPEATS
    assert found.p_value == pytest.approx(stats.ttest_ind(x, y, equal_var=False).pvalue)


def test_processes_are_counted_by_their_number_not_by_their_images() -> None:
    few = Interval(0.9, 1.1, "student-t over 3 processes, 5% between runs")
    found = weigh(Measurement(ECE, 1.0, 1500, few), Measurement(ECE, 0.9, 1500, dataclasses.replace(few, low=0.8, high=1.0)), None)
    error = 0.1 / stats.t.ppf(0.975, 2)
    assert found.p_value == pytest.approx(2 * stats.t.sf(0.1 / np.hypot(error, error), 4))


@pytest.mark.parametrize(
    ("n", "interval", "reason"),
    [
        (1, None, "measured once"),
        (30, None, "no interval"),
        (3, Interval(0.4, 0.6, "range", None), "range of 3, no confidence interval"),
        (16, Interval(0.4, 0.6, "lanczos-residual", None), "lanczos-residual, no confidence interval"),
        (64, Interval(0.4, 0.6, "bootstrap", conditional_on="one shuffle of the weights"), "interval holds fixed: one shuffle of the weights"),
        (4, Interval(0.4, 0.6, "student-t"), "only 4 examples or repeats"),
        (2, Interval(0.4, 0.6, "student-t over seeds"), "only 2 examples or repeats"),
        (3, Interval(0.4, 0.6, "student-t over seeds"), ""),
        (10, Interval(0.4, 0.6, "bootstrap"), ""),
    ],
)
def test_what_cannot_decide_between_two_models(n: int, interval: Interval | None, reason: str) -> None:
    low, high = measurement(0.5, n, interval), measurement(0.9, n, None if interval is None else dataclasses.replace(interval, low=0.8, high=1.0))
    assert untested_reason(low) == reason
    assert (interval_p_value(low, high) is None) == bool(reason)
    assert (weigh(low, high, None).kind is Kind.NONE) == bool(reason)


def test_the_longer_side_of_a_skewed_interval_counts() -> None:
    first = measurement(0.954, 100, Interval(0.926, 0.972, "bootstrap-t"))
    second = measurement(0.994, 100, Interval(0.987, 0.999, "bootstrap-t"))
    error = np.hypot(0.028, 0.007) / stats.norm.ppf(0.975)
    assert interval_p_value(first, second) == interval_p_value(second, first) == pytest.approx(2 * stats.norm.sf(0.04 / error))


def test_two_points_without_width_are_not_tested() -> None:
    first, second = (measurement(value, 50, Interval(value, value, "bootstrap")) for value in (0.1, 0.2))
    assert interval_p_value(first, second) is None
    assert weigh(first, second, None).kind is Kind.NONE


def test_the_interval_of_a_difference_is_newcombes_of_two_wilson_intervals() -> None:
    from efficient360.core.statistics import newcombe, wilson

    a, b = Measurement(ECE, 0.3, 100, wilson(30, 100)), Measurement(ECE, 0.5, 80, wilson(40, 80))
    found, expected = difference_interval(a, b), newcombe(40, 80, 30, 100)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_only_shared_examples_are_paired() -> None:
    a = ExampleValues(["x", "y", "z"], np.array([[1.0], [2.0], [3.0]]))
    b = ExampleValues(["z", "w", "y"], np.array([[30.0], [0.0], [20.0]]))
    found = pair(a, b)
    assert found is not None
    assert (found.first[:, 0].tolist(), found.second[:, 0].tolist()) == ([2.0, 3.0], [20.0, 30.0])
    assert pair(a, ExampleValues(["w"], np.array([[1.0]]))) is None
    assert pair(a, None) is None


def test_a_model_wins_against_itself_no_more_often_than_significance_allows() -> None:
    """A hundred pairs of runs of twenty metrics each, every interval a true 95 % one."""
    rng, winners = np.random.default_rng(0), 0
    for _ in range(100):
        values = rng.normal(0.5, 0.01, (2, 20))
        p_values = [interval_p_value(*(measurement(v, 100, Interval(v - 0.0196, v + 0.0196, "wilson")) for v in pair_)) for pair_ in values.T]
        winners += min(holm([p for p in p_values if p is not None])) < 0.05
    assert winners <= 13  # 5 expected; more than 13 in one case of a thousand


def test_the_number_of_swaps_never_gives_a_p_value_of_zero() -> None:
    paired = Paired(np.zeros((50, 2)), np.ones((50, 2)), OfMeans(lambda means, n: means[:, 0] + means[:, 1]))
    assert swap_p_value(paired) == 1 / (evidence.MORE_SWAPS + 1)
