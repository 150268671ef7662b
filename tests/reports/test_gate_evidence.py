import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from efficient360.core.measurement import Interval, Measurement
from efficient360.core.statistics import clopper_pearson, wilson
from efficient360.reports.comparing.example_values import OfExamples, Paired
from efficient360.reports.gate.evidence import change_evidence, paired_evidence, ratio_evidence, tango, value_evidence
from gate_runs import LATENCY, NLL, TOP1

RNG = np.random.default_rng(0)


def column(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=float)[:, None]


def test_a_share_is_tested_by_the_binomial_distribution() -> None:
    m = Measurement(TOP1, 0.8, 50, wilson(40, 50))
    assert value_evidence(m, 0.9, below=True).p_value == pytest.approx(stats.binom.cdf(40, 50, 0.9))
    assert value_evidence(m, 0.7, below=False).p_value == pytest.approx(stats.binom.sf(39, 50, 0.7))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.floats(0.01, 0.99))
def test_a_share_fails_where_the_exact_interval_lies_beyond_the_limit(hits: int, limit: float) -> None:
    m = Measurement(TOP1, hits / 40, 40, wilson(hits, 40))
    p = value_evidence(m, limit, below=True).p_value
    assert p is not None
    ends = clopper_pearson(hits, 40)
    if abs(ends.high - limit) > 1e-9:
        assert (p < 0.025) == (ends.high < limit)


def test_a_mean_is_tested_by_the_side_that_faces_the_limit() -> None:
    m = Measurement(NLL, 0.5, 100, Interval(0.4, 0.7, "bootstrap-t"))
    assert value_evidence(m, 0.7, below=True).p_value == pytest.approx(0.025, rel=1e-6)
    assert value_evidence(m, 0.4, below=False).p_value == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize(
    ("interval", "n", "reason"),
    [
        (None, 1, "measured once"),
        (Interval(0.4, 0.7, "range", level=None), 3, "range of 3, no confidence interval"),
        (Interval(0.4, 0.7, "bootstrap-t", conditional_on="one shuffle"), 100, "interval holds fixed: one shuffle"),
        (Interval(0.4, 0.7, "bootstrap-t"), 9, "only 9 examples or repeats"),
        (Interval(0.5, 0.5, "bootstrap-t"), 100, "an interval of no width"),
    ],
)
def test_what_can_not_be_tested_says_why(interval: Interval | None, n: int, reason: str) -> None:
    found = value_evidence(Measurement(NLL, 0.5, n, interval, repeatable=False), 0.6, below=True)
    assert (found.p_value, found.exact, found.basis) == (None, False, reason)


def test_exact_values_need_no_test() -> None:
    assert value_evidence(Measurement(NLL, 0.5), 0.6, below=True).exact
    assert change_evidence(Measurement(NLL, 0.5), Measurement(NLL, 0.4), 1.0, 0.0, below=False).exact


def test_two_intervals_are_tested_as_independent_normal_errors() -> None:
    a, b = Measurement(NLL, 0.5, 100, Interval(0.4, 0.6, "bootstrap-t")), Measurement(NLL, 0.9, 100, Interval(0.7, 1.0, "bootstrap-t"))
    z = stats.norm.ppf(0.975)
    assert change_evidence(b, a, 1.0, 0.1, below=False).p_value == pytest.approx(stats.norm.sf(0.3 / (math.hypot(0.1, 0.2) / z)))
    relative = change_evidence(b, a, 1.5, 0.0, below=False)
    assert relative.p_value == pytest.approx(stats.norm.sf(0.15 / (math.hypot(0.15, 0.2) / z)))


def test_few_repeats_are_judged_by_the_longer_tail() -> None:
    method = "student-t over 3 processes, 5% between runs"
    a, b = Measurement(LATENCY, 1.0, 60, Interval(0.9, 1.1, method)), Measurement(LATENCY, 2.0, 60, Interval(1.9, 2.1, method))
    found = change_evidence(b, a, 1.0, 0.0, below=False)
    assert found.p_value == pytest.approx(stats.t.sf(1 / (0.1 * math.sqrt(2) / stats.t.ppf(0.975, 2)), 4))
    near = change_evidence(Measurement(LATENCY, 1.05, 60, Interval(0.95, 1.15, method)), a, 1.0, 0.0, below=False)
    assert near.p_value == pytest.approx(stats.norm.sf(0.05 / (0.1 * math.sqrt(2) / stats.norm.ppf(0.975))))


def test_a_ratio_is_tested_on_the_log_scale_and_never_falls_by_more_than_all() -> None:
    method = "student-t over 3 processes, 5% between runs"
    a, b = (Measurement(LATENCY, v, 60, Interval(v / 1.5, v * 1.5, method)) for v in (1.0, 1.5))
    found = ratio_evidence(b, a, 1.1, below=False)
    z, t = (math.log(1.5 / 1.1) / (math.hypot(1, 1) * math.log(1.5) / q) for q in (stats.norm.ppf(0.975), stats.t.ppf(0.975, 2)))
    assert found.p_value == pytest.approx(max(stats.norm.sf(z), stats.t.sf(t, 4)))
    assert found.interval is not None
    assert found.interval.low == pytest.approx(1.5 * math.exp(-math.hypot(1, 1) * math.log(1.5)) - 1)
    assert -1 < found.interval.low < 0.5 < found.interval.high


def test_right_and_wrong_against_no_change_is_mcnemar() -> None:
    first, second = np.ones(100), np.ones(100)
    first[:3], second[10:20] = 0, 0
    found = paired_evidence(Paired(column(first), column(second)), 1.0, 0.0, below=True)
    assert found.p_value == pytest.approx(stats.binom.cdf(3, 13, 0.5))
    assert found.basis == "paired test over 100 examples"
    assert found.interval is not None
    assert found.interval.low < -0.07 < found.interval.high


def test_equal_answers_are_no_evidence_of_a_drop() -> None:
    same = column(RNG.random(50) < 0.5)
    assert paired_evidence(Paired(same, same), 1.0, 0.0, below=True).p_value == 1.0
    margin = paired_evidence(Paired(same, same), 1.0, -0.01, below=True).p_value
    assert margin is not None
    assert margin > 0.5


def test_means_are_tested_by_a_paired_t_against_the_limit() -> None:
    first = RNG.exponential(1, 80)
    second = first * 1.2 + RNG.normal(0, 0.1, 80)
    found = paired_evidence(Paired(column(first), column(second)), 1.1, 0.0, below=False)
    assert found.p_value == pytest.approx(stats.ttest_1samp(second - 1.1 * first, 0, alternative="greater").pvalue)


def test_a_statistic_is_tested_by_swaps_at_no_change_and_by_resamples_at_a_margin() -> None:
    first, second = column(RNG.normal(0, 1, 200)), column(RNG.normal(1, 1, 200))
    pair = Paired(first, second, OfExamples(lambda values: np.asarray(np.median(values[:, :, 0], axis=1))))
    at_zero, at_margin = (paired_evidence(pair, 1.0, shift, below=False).p_value for shift in (0.0, 0.5))
    assert at_zero is not None
    assert at_margin is not None
    assert at_zero < 0.001
    assert at_margin < 0.025
    worse = paired_evidence(pair, 1.0, 0.0, below=True).p_value
    assert worse is not None
    assert worse > 0.99


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60), st.floats(-0.5, 0.5))
def test_tango_is_the_score_at_the_likeliest_proportions_with_that_difference(gained: int, lost: int, neither: int, difference: float) -> None:
    n = gained + lost + neither

    def minus_log_likelihood(q: float) -> float:
        parts = [(gained, q + difference), (lost, q), (neither, 1 - 2 * q - difference)]
        return -sum(count * math.log(max(p, 1e-300)) for count, p in parts if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    grid = np.linspace(low, high, 2001)
    start = int(np.argmin([minus_log_likelihood(q) for q in grid]))
    ends = grid[max(0, start - 1)], grid[min(2000, start + 1)]
    q = float(optimize.minimize_scalar(minus_log_likelihood, bounds=ends, method="bounded", options={"xatol": 1e-12}).x)
    variance = (2 * q + difference - difference**2) / n
    found, distance = tango(gained, lost, n, difference), (gained - lost) / n - difference
    if variance > 1e-4 / n and abs(distance) > 1e-9:
        assert found == pytest.approx(distance / math.sqrt(variance), rel=1e-2, abs=1e-3)
    else:
        assert found == 0 or math.copysign(1, found) == math.copysign(1, distance)


def test_tango_without_a_difference_is_mcnemars_statistic() -> None:
    assert tango(5, 20, 300, 0.0) == pytest.approx(-15 / math.sqrt(25))
