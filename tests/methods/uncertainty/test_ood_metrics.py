"""AUROC, AUPR and FPR95 against scikit-learn, counting by hand and two Gaussians; the resamples against drawing the examples themselves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from efficient360.methods.uncertainty.bootstrap import bootstrap_counts, original_sample
from efficient360.methods.uncertainty.ood_metrics import DetectionMetrics, detection_interval, detection_metrics, with_refits


def on_sample(id_scores: np.ndarray, ood_scores: np.ndarray) -> DetectionMetrics:
    return detection_metrics(id_scores, ood_scores, original_sample(len(id_scores)), original_sample(len(ood_scores)))


SCORES = st.lists(st.integers(0, 6), min_size=1, max_size=30).map(lambda values: np.array(values, dtype=float))


@given(SCORES, SCORES)
@settings(max_examples=25, deadline=None)
def test_equals_scikit_learn_with_both_sides_counting_the_same(id_scores: np.ndarray, ood_scores: np.ndarray) -> None:
    metrics = on_sample(id_scores, ood_scores)
    scores, other = np.concatenate([id_scores, ood_scores]), np.arange(len(id_scores) + len(ood_scores)) >= len(id_scores)
    weights = np.where(other, 1 / len(ood_scores), 1 / len(id_scores))
    assert metrics.auroc[0] == pytest.approx(roc_auc_score(~other, scores))
    assert metrics.aupr[0] == pytest.approx(average_precision_score(other, -scores, sample_weight=weights))


def test_false_positive_rate_by_hand() -> None:
    id_scores = np.arange(100.0)  # 95 % of them are at least 5
    ood_scores = np.array([4.0, 5.0, 6.0, -1.0, 200.0])
    assert on_sample(id_scores, ood_scores).fpr95[0] == pytest.approx(3 / 5)
    assert on_sample(id_scores, np.array([-1.0, -2.0])).fpr95[0] == 0
    assert on_sample(np.ones(10), np.ones(3)).fpr95[0] == 1  # no threshold tells equal scores apart


def test_two_gaussians() -> None:
    rng = np.random.default_rng(0)
    for distance in (0.0, 1.0, 2.5):
        metrics = on_sample(rng.normal(distance, 1, 40_000), rng.normal(0, 1, 40_000))
        assert metrics.auroc[0] == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.006)
        assert metrics.fpr95[0] == pytest.approx(1 - norm.cdf(distance + norm.ppf(0.05)), abs=0.012)
    assert on_sample(rng.normal(0, 1, 40_000), rng.normal(0, 1, 4_000)).aupr[0] == pytest.approx(0.5, abs=0.02)  # whatever the sizes


def test_a_resample_is_the_measure_on_the_examples_drawn() -> None:
    rng = np.random.default_rng(1)
    id_scores, ood_scores = rng.normal(1, 1, 50).round(1), rng.normal(0, 1, 30).round(1)
    id_counts, ood_counts = bootstrap_counts(50, 20, rng), bootstrap_counts(30, 20, rng)
    assert (id_counts.sum(1) == 50).all()
    assert (ood_counts.sum(1) == 30).all()
    metrics = detection_metrics(id_scores, ood_scores, id_counts, ood_counts)
    for r in range(20):
        one = on_sample(np.repeat(id_scores, id_counts[r]), np.repeat(ood_scores, ood_counts[r]))
        assert (metrics.auroc[r], metrics.aupr[r], metrics.fpr95[r]) == pytest.approx((one.auroc[0], one.aupr[0], one.fpr95[0]))


def test_intervals_cover_the_true_auroc() -> None:
    rng, hits = np.random.default_rng(2), 0
    for _ in range(40):
        id_scores, ood_scores = rng.normal(1, 1, 80), rng.normal(0, 1, 80)
        value = on_sample(id_scores, ood_scores).auroc[0]
        draws = detection_metrics(id_scores, ood_scores, bootstrap_counts(80, 100, rng), bootstrap_counts(80, 100, rng)).auroc
        interval = detection_interval(value, draws, 80)
        hits += interval.low <= norm.cdf(1 / np.sqrt(2)) <= interval.high
    assert 34 <= hits <= 40


def test_perfect_separation_still_leaves_something_open() -> None:
    interval = detection_interval(1.0, np.ones(100), 40)
    assert interval.method == "clopper-pearson"
    assert interval.low == pytest.approx(0.025 ** (1 / 40))  # the exact lower limit of 40 out of 40
    assert interval.high == 1


def of(auroc: list[float]) -> DetectionMetrics:
    return DetectionMetrics(np.array(auroc), np.array(auroc), 1 - np.array(auroc))


def test_refits_widen_by_their_spread_alone() -> None:
    """Twenty refits whose AUROC lies two points lower on average and spreads by three: only the spread is added, as Student's t of twenty values."""
    draws = np.random.default_rng(0).normal(0.7, 0.02, 4000)
    refits = np.random.default_rng(1).normal(0.68, 0.03, 20)
    both = with_refits(of([0.7, *draws]), [of([value]) for value in refits], np.random.default_rng(2))
    few = norm.ppf(0.975) ** -1 * 2.093 * np.sqrt(20 / 19)
    assert both.auroc[0] == 0.7
    assert both.auroc[1:].mean() == pytest.approx(0.7, abs=0.003)
    assert both.auroc[1:].std() == pytest.approx(np.hypot(0.02, few * refits.std()), rel=0.05)
    np.testing.assert_allclose(both.fpr95, 1 - both.auroc)


def test_without_refits_nothing_changes() -> None:
    alone = of([0.7, 0.6, 0.8])
    assert with_refits(alone, [], np.random.default_rng(0)) is alone
    assert with_refits(alone, [of([0.5])], np.random.default_rng(0)) is alone
