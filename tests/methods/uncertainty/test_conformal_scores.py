import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.methods.uncertainty.conformal_scores import AdaptiveScore, RegularizedScore, ThresholdScore, nonconformity_scores, rank_classes

PROBABILITY = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]])
UNIFORM = np.array([0.5, 0.0])


def members(scores: np.ndarray, cut: float) -> list[int]:
    """Set sizes: classes by rank whose score does not exceed the cut."""
    return (scores <= cut).sum(axis=1).tolist()


def test_classes_are_ranked_by_probability_and_equal_ones_by_index() -> None:
    logits = np.log(np.array([[0.1, 0.6, 0.3], [0.25, 0.5, 0.25], [0.5, 0.25, 0.25]]))
    ranked = rank_classes(logits, np.array([2, 2, 2]))
    assert ranked.probability == pytest.approx(np.array([[0.6, 0.3, 0.1], [0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]))
    assert ranked.true_rank.tolist() == [1, 2, 2]
    assert rank_classes(logits, np.array([0, 0, 0])).true_rank.tolist() == [2, 1, 0]


def test_ranking_in_parts_changes_nothing() -> None:
    logits, labels = np.random.default_rng(0).normal(size=(5000, 3)), np.random.default_rng(1).integers(0, 3, 5000)
    whole, alone = rank_classes(logits, labels), [rank_classes(logits[i : i + 1], labels[i : i + 1]) for i in (0, 4095, 4096, 4999)]
    for i, one in zip((0, 4095, 4096, 4999), alone, strict=True):
        assert (whole.probability[i] == one.probability[0]).all()
        assert whole.true_rank[i] == one.true_rank[0]


def test_threshold_sets_by_hand() -> None:
    scores = ThresholdScore().scores(PROBABILITY, UNIFORM)
    assert scores == pytest.approx(np.array([[0.4, 0.7, 0.9], [0.5, 0.6, 0.9]]))
    assert members(scores, 0.65) == [1, 2]  # probability at least 0.35
    assert members(scores, 0.3) == [0, 0]


def test_adaptive_sets_by_hand() -> None:
    # Less half of the class's own probability in the first row, and nothing of it in the second.
    scores = AdaptiveScore().scores(PROBABILITY, UNIFORM)
    assert scores == pytest.approx(np.array([[0.3, 0.75, 0.95], [0.5, 0.9, 1.0]]))
    assert members(scores, 0.8) == [2, 1]
    assert members(scores, 0.2) == [0, 0]


def test_regularized_sets_by_hand() -> None:
    # One rank is free; the second and the third cost 0.1 and 0.2.
    scores = RegularizedScore(0.1, 1).scores(PROBABILITY, UNIFORM)
    assert scores == pytest.approx(np.array([[0.3, 0.85, 1.15], [0.5, 1.0, 1.2]]))
    assert members(scores, 0.8) == [1, 1]


def test_without_a_penalty_regularized_sets_are_adaptive_ones() -> None:
    assert (RegularizedScore(0.0, 0).scores(PROBABILITY, UNIFORM) == AdaptiveScore().scores(PROBABILITY, UNIFORM)).all()
    assert (RegularizedScore(9.0, 3).scores(PROBABILITY, UNIFORM) == AdaptiveScore().scores(PROBABILITY, UNIFORM)).all()


rows = st.lists(st.floats(0.001, 1), min_size=2, max_size=8)


@given(rows, st.floats(0, 0.999))
def test_scores_rise_down_the_ranking_so_that_a_set_is_a_top_k(weights: list[float], u: float) -> None:
    probability = np.sort(np.array([weights]) / sum(weights))[:, ::-1]
    for score in nonconformity_scores(0.01, 2).values():
        assert (np.diff(score.scores(probability, np.array([u]))) >= -1e-15).all()
