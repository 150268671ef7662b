import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from efficient360.methods.fairness import resampling
from efficient360.methods.fairness.resampling import binomial_errors, chunk_sizes, multinomial_errors, permutations, permuted_tables, stratified_resamples

STRATA = np.array([0, 0, 0, 1, 2, 2, 2])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_every_permutation_is_as_likely() -> None:
    drawn = permutations(3, 6000, rng())
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 6
    assert counts.min() > 880  # 1000 expected, deviation 29
    assert counts.max() < 1120


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_resamples_stay_within_strata(strata: list[int]) -> None:
    sorted_strata = np.sort(np.array(strata))
    drawn = stratified_resamples(sorted_strata, 5, rng())
    assert drawn.shape == (5, len(sorted_strata))
    assert (sorted_strata[drawn] == sorted_strata).all()


def test_resamples_draw_with_replacement_evenly() -> None:
    drawn = stratified_resamples(STRATA, 6000, rng())
    counts = np.bincount(drawn[:, 0], minlength=7)
    assert counts[3:].sum() == 0
    assert counts[:3] == pytest.approx([2000] * 3, abs=150)
    assert any(len(set(row[:3])) < 3 for row in drawn)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 99))
@settings(deadline=None)
def test_tables_keep_both_sums(categories: list[int], shares: list[int], seed: int) -> None:
    groups = np.bincount(rng(seed).integers(0, len(shares), sum(categories)), minlength=len(shares))
    tables = permuted_tables(np.array(categories), groups, 3, rng(seed))
    assert tables.shape == (3, len(shares), len(categories))
    assert (tables >= 0).all()
    assert (tables.sum(axis=1) == categories).all()
    assert (tables.sum(axis=2) == groups).all()


def test_tables_are_as_frequent_as_under_permuted_labels() -> None:
    """Against permuting the labels one by one: a chi-squared test over whole tables."""
    categories, groups = np.array([3, 2, 1]), np.array([2, 1, 3])
    drawn = permuted_tables(categories, groups, 20000, rng()).reshape(-1, 9)
    predicted, codes, by_hand = np.repeat([0, 1, 2], categories), np.repeat([0, 1, 2], groups), []
    for order in permutations(6, 20000, rng(1)):
        by_hand.append(np.bincount(codes * 3 + predicted[order], minlength=9))
    distinct, which = np.unique(np.concatenate([drawn, by_hand]), axis=0, return_inverse=True)
    counts = [np.bincount(part, minlength=len(distinct)) for part in (which.ravel()[:20000], which.ravel()[20000:])]
    assert stats.chi2_contingency(counts).pvalue > 0.001


def test_memory_is_bounded_by_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "CHUNK_VALUES", 70)
    assert list(chunk_sizes(25, 7)) == [10, 10, 5]
    assert list(chunk_sizes(3, 700)) == [1, 1, 1]


@pytest.mark.parametrize(("rate", "size"), [(0.89, 12), (0.89, 45), (0.5, 12), (0.012, 400)])
def test_errors_of_rates_spread_as_the_rates_do(rate: float, size: int) -> None:
    """On average over samples, no less than p (1 − p) / n, and little more: an interval of a mean over many rates rests on it."""
    hits = rng().binomial(size, rate, 400)
    errors = binomial_errors(hits, np.full(400, size), 400, rng(1))
    assert 0.99 <= (errors**2).mean() / (rate * (1 - rate) / size) <= 1.35


def test_a_rate_of_one_has_errors_and_a_rate_of_nothing_has_none() -> None:
    errors = binomial_errors(np.array([9, 0]), np.array([9, 0]), 200, rng())
    assert errors[:, 0].std() > 0.03
    assert (errors[:, 1] == 0).all()


def test_errors_of_shares_add_up_to_nothing_and_spread_as_multinomial_ones() -> None:
    counts = np.array([[40, 50, 0], [10, 10, 80]])
    errors = multinomial_errors(counts, 20_000, rng())
    np.testing.assert_allclose(errors.sum(axis=2), 0, atol=1e-12)
    share = (counts[0] + 1 / 3) / 91
    expected = (np.diag(share) - np.outer(share, share)) / 89
    np.testing.assert_allclose(np.cov(errors[:, 0].T), expected, atol=8e-5)
