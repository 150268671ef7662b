import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, recall_score

from efficient360.core.statistics import wilson
from efficient360.methods.fairness.class_recall import Recalls, balanced_interval, recalls


def _of(hits: list[int], counts: list[int]) -> Recalls:
    return Recalls(np.arange(len(hits)), np.array(hits), np.array(counts))


def test_recalls_by_hand() -> None:
    found = recalls(np.array([7, 2, 7, 2, 2, 9]), np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0]))
    assert found.classes.tolist() == [2, 7, 9]
    assert (found.hits.tolist(), found.counts.tolist()) == ([2, 1, 0], [3, 2, 1])
    assert found.values.tolist() == [2 / 3, 0.5, 0.0]
    assert found.balanced == pytest.approx((2 / 3 + 0.5) / 3)


@pytest.mark.filterwarnings("ignore::UserWarning:sklearn")
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60))
def test_recalls_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(pairs).T
    found = recalls(labels, (labels == predicted).astype(float))
    oracle = recall_score(labels, predicted, labels=np.unique(labels), average=None, zero_division=0)
    np.testing.assert_allclose(found.values, oracle)
    assert found.balanced == pytest.approx(balanced_accuracy_score(labels, predicted))


def test_the_interval_is_as_wide_as_the_variance_of_independent_classes_says() -> None:
    """Var = Σ p(1 − p)/n / C² by hand, so the normal approximation must agree within the noise of the resampling."""
    hits, counts = np.array([900, 150, 30]), np.array([1000, 200, 60])
    share = hits / counts
    half = 1.96 * float(np.sqrt((share * (1 - share) / counts).sum())) / 3
    found = balanced_interval(Recalls(np.arange(3), hits, counts), seed=0, resamples=5000)
    assert found.low == pytest.approx(share.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(share.mean() + half, abs=0.1 * half)
    assert found.method == "stratified-bootstrap"


def test_it_is_wider_than_wilsons_when_a_small_class_carries_a_third_of_the_weight() -> None:
    of = _of([990, 985, 5], [1000, 1000, 10])
    balanced, plain = balanced_interval(of, 0, 2000), wilson(1980, 2010)
    assert balanced.high - balanced.low > 5 * (plain.high - plain.low)


def test_classes_of_one_example_borrow_their_spread_from_each_other() -> None:
    """With one example a class the balanced accuracy is top-1, so its interval must be a proportion's, not a point."""
    of = _of([1] * 80 + [0] * 20, [1] * 100)
    found, plain = balanced_interval(of, 0, 5000), wilson(80, 100)
    assert found.low == pytest.approx(plain.low, abs=0.02)
    assert found.high == pytest.approx(plain.high, abs=0.02)


@pytest.mark.parametrize("hits", [[5, 3], [0, 0]])
def test_all_right_or_all_wrong_still_leaves_doubt(hits: list[int]) -> None:
    assert balanced_interval(_of(hits, [5, 3]), 0, 100) == wilson(sum(hits), 8)


def test_the_same_seed_gives_the_same_interval() -> None:
    of = _of([7, 4, 9], [10, 9, 11])
    assert balanced_interval(of, 3, 500) == balanced_interval(of, 3, 500)
    assert balanced_interval(of, 3, 500) != balanced_interval(of, 4, 500)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=8), st.integers(0, 9))
def test_the_interval_holds_the_value_and_stays_within_bounds(classes: list[tuple[int, int]], seed: int) -> None:
    of = _of([min(h, n) for h, n in classes], [n for _, n in classes])
    found = balanced_interval(of, seed, 400)
    assert 0 <= found.low <= of.balanced + 1e-9
    assert of.balanced - 1e-9 <= found.high <= 1
