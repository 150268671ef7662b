import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from efficient360.methods.privacy.roc import auc_interval, cross_fitted_hits, max_errors, roc
from efficient360.methods.privacy.strongest_attack import critical_value, highest_auc_interval, placements

Sizes = st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(2, 30), st.integers(0, 99))


def tied(sizes: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties."""
    m, n, levels, seed = sizes
    rng = np.random.default_rng(seed)
    return rng.integers(0, levels, m).astype(float), rng.integers(0, levels, n).astype(float)


def theirs(members: np.ndarray, nonmembers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([1, 0], [len(members), len(nonmembers)])
    fpr, tpr, _ = roc_curve(labels, np.concatenate([members, nonmembers]), drop_intermediate=False)
    return fpr, tpr


@given(Sizes)
@settings(max_examples=60, deadline=None)
def test_auc_is_scikit_learns(sizes: tuple[int, int, int, int]) -> None:
    members, nonmembers = tied(sizes)
    labels = np.repeat([1, 0], [len(members), len(nonmembers)])
    assert roc(members, nonmembers).auc == pytest.approx(roc_auc_score(labels, np.concatenate([members, nonmembers])))


@given(Sizes, st.sampled_from([0.001, 0.01, 0.1, 0.29, 0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_rates_at_low_rates_are_scikit_learns(sizes: tuple[int, int, int, int], rate: float) -> None:
    members, nonmembers = tied(sizes)
    curve = roc(members, nonmembers)
    fpr, tpr = theirs(members, nonmembers)
    assert curve.true_positives_at(max_errors(rate, len(nonmembers))) / len(members) == pytest.approx(tpr[fpr <= rate + 1e-12].max())
    tnr = (1 - fpr)[1 - tpr <= rate + 1e-12].max()
    assert curve.true_negatives_at(max_errors(rate, len(members))) / len(nonmembers) == pytest.approx(tnr)


def test_rates_by_hand() -> None:
    members, nonmembers = np.array([9.0, 8, 7, 1]), np.array([8.5, 6, 5, 0])
    curve = roc(members, nonmembers)
    assert curve.auc == 11 / 16
    assert [curve.true_positives_at(k) for k in range(5)] == [1, 3, 3, 4, 4]
    assert [curve.true_negatives_at(k) for k in range(5)] == [1, 3, 3, 4, 4]


@pytest.mark.parametrize(("rate", "n", "count"), [(0.01, 2900, 29), (0.01, 99, 0), (0.001, 10_000, 10), (0.01, 897, 8)])
def test_a_rate_allows_whole_examples_despite_binary_fractions(rate: float, n: int, count: int) -> None:
    assert max_errors(rate, n) == count


def test_the_auc_of_two_normals_lies_within_its_interval_as_often_as_promised() -> None:
    truth, rng = float(norm.cdf(1 / np.sqrt(2))), np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        auc = roc(rng.normal(1, 1, 80), rng.normal(0, 1, 80)).auc
        interval = auc_interval(auc, 80, 80)
        inside += interval.low <= truth <= interval.high
    # 300 draws at 95 %: fewer than 272 happens once in ten thousand.
    assert 272 <= inside <= 300


@given(st.floats(0, 1), st.integers(2, 10**5), st.integers(2, 10**5))
@settings(max_examples=100, deadline=None)
def test_an_interval_of_an_auc_holds_it_within_bounds_and_mirrors(auc: float, m: int, n: int) -> None:
    interval, mirrored = auc_interval(auc, m, n), auc_interval(1 - auc, m, n)
    assert 0 <= interval.low <= auc <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-6)


def test_perfect_separation_has_no_point_for_an_interval() -> None:
    interval = auc_interval(1.0, 50, 50)
    assert interval.high == 1
    assert 0.9 < interval.low < 0.99


def test_balanced_accuracy_of_an_attack_that_finds_nothing_is_not_flattered() -> None:
    rng = np.random.default_rng(1)
    chosen_on_the_same, cross_fitted = [], []
    for seed in range(60):
        members, nonmembers = rng.normal(size=100), rng.normal(size=100)
        curve = roc(members, nonmembers)
        chosen_on_the_same.append(0.5 + (curve.true_positives - curve.false_positives).max() / 200)
        cross_fitted.append(cross_fitted_hits(members, nonmembers, seed) / 200)
    assert np.mean(chosen_on_the_same) > 0.53
    assert abs(np.mean(cross_fitted) - 0.5) < 0.015


def test_balanced_accuracy_of_two_normals_is_that_of_the_best_threshold() -> None:
    rng = np.random.default_rng(2)
    hits = cross_fitted_hits(rng.normal(2, 1, 4000), rng.normal(0, 1, 4000), 0)
    assert hits / 8000 == pytest.approx(norm.cdf(1), abs=0.015)


def test_balanced_accuracy_of_perfect_separation_is_whole_and_its_seed_fixes_it() -> None:
    assert cross_fitted_hits(np.arange(10.0) + 20, np.arange(10.0), 0) == 20
    rng = np.random.default_rng(3)
    members, nonmembers = rng.normal(size=50), rng.normal(size=50)
    assert cross_fitted_hits(members, nonmembers, 5) == cross_fitted_hits(members, nonmembers, 5)


def test_placements_average_to_the_auc() -> None:
    members, nonmembers = tied((40, 30, 5, 3))
    above, below = placements(members, nonmembers)
    assert above.mean() == pytest.approx(roc(members, nonmembers).auc)
    assert below.mean() == pytest.approx(roc(members, nonmembers).auc)


def test_the_interval_of_a_single_attack_is_its_own() -> None:
    rng = np.random.default_rng(0)
    members, nonmembers = rng.normal(1, 1, 80), rng.normal(0, 1, 80)
    assert highest_auc_interval([(members, nonmembers)], 0) == auc_interval(roc(members, nonmembers).auc, 80, 80)


def test_the_critical_value_of_equal_and_of_independent_attacks() -> None:
    rng = np.random.default_rng(1)
    sides = [(rng.normal(0, 1, 4000), rng.normal(0, 1, 4000)) for _ in range(4)]
    assert critical_value(sides[:1] * 4, 0) == pytest.approx(1.96, abs=0.04)
    assert critical_value(sides, 0) == pytest.approx(norm.ppf(0.975**0.25), abs=0.06)


def test_the_strongest_of_four_attacks_finds_nothing_where_there_is_nothing() -> None:
    """One attack's interval around the highest of four excludes 50 % in 10 % of cases."""
    rng, outside = np.random.default_rng(2), 0
    for seed in range(250):
        sides = [(rng.normal(0, 1, 60), rng.normal(0, 1, 60)) for _ in range(4)]
        interval = highest_auc_interval(sides, seed)
        outside += not interval.low <= 0.5 <= interval.high
        assert interval.low <= max(roc(*side).auc for side in sides) <= interval.high
    assert outside <= 18  # 2.5 to 5 % in truth: at most 12 expected
