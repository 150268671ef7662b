"""AUROC, AUPR and FPR95 against scikit-learn, counting by hand and two Gaussians; the resamples against drawing the examples themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from efficient360.methods.uncertainty.resampling import resampled, sample
from efficient360.methods.uncertainty.separation import Separation, separation, spread


def alone(inside: np.ndarray, outside: np.ndarray) -> Separation:
    return separation(inside, outside, sample(len(inside)), sample(len(outside)))


SCORES = st.lists(st.integers(0, 6), min_size=1, max_size=30).map(lambda values: np.array(values, dtype=float))


@given(SCORES, SCORES)
@settings(max_examples=25, deadline=None)
def test_equals_scikit_learn_with_both_sides_counting_the_same(inside: np.ndarray, outside: np.ndarray) -> None:
    found = alone(inside, outside)
    scores, other = np.concatenate([inside, outside]), np.arange(len(inside) + len(outside)) >= len(inside)
    weights = np.where(other, 1 / len(outside), 1 / len(inside))
    assert found.auroc[0] == pytest.approx(roc_auc_score(~other, scores))
    assert found.aupr[0] == pytest.approx(average_precision_score(other, -scores, sample_weight=weights))


def test_false_positive_rate_by_hand() -> None:
    inside = np.arange(100.0)  # 95 % of them are at least 5
    outside = np.array([4.0, 5.0, 6.0, -1.0, 200.0])
    assert alone(inside, outside).fpr95[0] == pytest.approx(3 / 5)
    assert alone(inside, np.array([-1.0, -2.0])).fpr95[0] == 0
    assert alone(np.ones(10), np.ones(3)).fpr95[0] == 1  # no threshold tells equal scores apart


def test_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    for distance in (0.0, 1.0, 2.5):
        found = alone(rng.normal(distance, 1, 40_000), rng.normal(0, 1, 40_000))
        assert found.auroc[0] == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.006)
        assert found.fpr95[0] == pytest.approx(1 - norm.cdf(distance + norm.ppf(0.05)), abs=0.012)
    assert alone(rng.normal(0, 1, 40_000), rng.normal(0, 1, 4_000)).aupr[0] == pytest.approx(0.5, abs=0.02)  # whatever the sizes


def test_a_resample_is_the_measure_on_the_examples_drawn() -> None:
    rng = np.random.default_rng(1)
    inside, outside = rng.normal(1, 1, 50).round(1), rng.normal(0, 1, 30).round(1)
    drawn_inside, drawn_outside = resampled(50, 20, rng), resampled(30, 20, rng)
    assert (drawn_inside.sum(1) == 50).all()
    assert (drawn_outside.sum(1) == 30).all()
    found = separation(inside, outside, drawn_inside, drawn_outside)
    for r in range(20):
        one = alone(np.repeat(inside, drawn_inside[r]), np.repeat(outside, drawn_outside[r]))
        assert (found.auroc[r], found.aupr[r], found.fpr95[r]) == pytest.approx((one.auroc[0], one.aupr[0], one.fpr95[0]))


def test_intervals_cover_the_true_auroc() -> None:
    rng, hits = np.random.default_rng(2), 0
    for _ in range(40):
        inside, outside = rng.normal(1, 1, 80), rng.normal(0, 1, 80)
        value = alone(inside, outside).auroc[0]
        draws = separation(inside, outside, resampled(80, 100, rng), resampled(80, 100, rng)).auroc
        interval = spread(value, draws, 80)
        hits += interval.low <= norm.cdf(1 / np.sqrt(2)) <= interval.high
    assert 34 <= hits <= 40


def test_perfect_separation_still_leaves_something_open() -> None:
    interval = spread(1.0, np.ones(100), 40)
    assert interval.method == "clopper-pearson"
    assert interval.low == pytest.approx(0.025 ** (1 / 40))  # the exact lower limit of 40 out of 40
    assert interval.high == 1
