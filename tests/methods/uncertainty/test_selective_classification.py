from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from efficient360.core.arrays import Floats
from efficient360.methods.uncertainty.ece import bootstrap_resamples, confidence_levels
from efficient360.methods.uncertainty.selective_classification import accuracy_at_coverage, area_under_generalized_risk, area_under_risk_coverage, risk_coverage


def aurc(confidence: Floats, correct: Floats) -> float:
    (value,) = area_under_risk_coverage(confidence_levels(np.asarray(confidence), np.asarray(correct)))
    return float(value)


def by_thresholds(confidence: Floats, correct: Floats) -> float:
    """The definition: lower the threshold past each example in turn and take the error rate among those above it."""
    return float(np.mean([1 - correct[confidence >= threshold].mean() for threshold in confidence]))


def in_order(errors: list[int]) -> float:
    return float(np.mean(np.cumsum(errors) / np.arange(1, len(errors) + 1)))


def test_a_table_worked_by_hand() -> None:
    # Surest first: right, wrong, right, wrong: risks 0, 1/2, 1/3, 1/2.
    assert aurc(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0])) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


@pytest.mark.parametrize("n", [1, 10, 333])
def test_against_brute_force_over_thresholds(n: int) -> None:
    rng = np.random.default_rng(n)
    confidence = rng.random(n)
    correct = (rng.random(n) < confidence).astype(float)
    assert aurc(confidence, correct) == pytest.approx(by_thresholds(confidence, correct))


def test_a_perfect_ranking_in_closed_form() -> None:
    # n − e right ones first: risk (k − (n − e)) / k beyond them.
    n, wrong = 100, 20
    correct = np.array([1] * (n - wrong) + [0] * wrong)
    expected = sum((k - (n - wrong)) / k for k in range(n - wrong + 1, n + 1)) / n
    assert aurc(np.linspace(1, 0.5, n), correct) == pytest.approx(expected)


def test_a_ranking_without_information_has_the_error_rate() -> None:
    assert aurc(np.full(50, 0.7), np.array([1] * 40 + [0] * 10)) == pytest.approx(0.2)


def test_ties_are_the_average_over_all_their_orders() -> None:
    # 0.9 is wrong; three at 0.5 of which one is wrong; 0.1 is right.
    confidence, correct = np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([0, 1, 0, 1, 1])
    orders = [in_order([1, *tied, 0]) for tied in permutations([0, 1, 0])]
    assert aurc(confidence, correct) == pytest.approx(np.mean(orders))


pairs = st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9, 1.0]), st.booleans()), min_size=1, max_size=40)


@given(pairs, st.randoms(use_true_random=False))
def test_bounds_permutation_and_the_best_and_worst_rankings(examples: list[tuple[float, bool]], random) -> None:
    confidence, correct = np.array([c for c, _ in examples]), np.array([h for _, h in examples])
    order = np.array(random.sample(range(len(examples)), len(examples)))
    value = aurc(confidence, correct)
    assert 0 <= value <= 1
    assert aurc(confidence[order], correct[order]) == value
    wrong = int((~correct).sum())
    right = len(examples) - wrong
    assert in_order([0] * right + [1] * wrong) - 1e-12 <= value <= in_order([1] * wrong + [0] * right) + 1e-12


def test_rows_are_counted_each_on_its_own() -> None:
    levels = confidence_levels(np.array([0.5, 0.6, 0.8, 0.9]), np.array([1, 0, 1, 0]))
    (drawn,) = bootstrap_resamples(levels, 50, np.random.default_rng(0))
    for row, value in enumerate(area_under_risk_coverage(drawn)):
        counts, hits = drawn.counts[row], drawn.hits[row]
        correct = np.concatenate([[1] * h + [0] * (c - h) for c, h in zip(counts, hits, strict=True)])
        assert aurc(np.repeat(levels.confidence, counts), correct) == pytest.approx(value)


def test_the_curve_ends_at_the_error_rate_and_has_the_area() -> None:
    confidence, correct = np.linspace(1, 0.1, 150), (np.arange(150) % 3 > 0).astype(float)
    coverage, risk = risk_coverage(confidence_levels(confidence, correct))
    assert (coverage[0], coverage[-1], risk[-1]) == (1 / 150, 1.0, pytest.approx(1 / 3))
    assert risk.mean() == pytest.approx(aurc(confidence, correct))


def test_the_curve_of_many_examples_is_thinned() -> None:
    confidence, correct = np.linspace(1, 0.1, 5000), (np.arange(5000) % 4 > 0).astype(float)
    coverage, risk = risk_coverage(confidence_levels(confidence, correct))
    assert len(coverage) == len(risk) == 200
    assert risk[-1] == pytest.approx(0.25)


def test_generalized_risk_worked_by_hand() -> None:
    # Surest first: right, wrong, right, wrong. Answered and wrong among all four: 0, 0, 1/4, 1/4, 1/2 at coverage 0, 1/4 … 1.
    # Trapezoids: (0 + 1/8 + 1/4 + 3/8) / 4 = 3/16.
    assert area_under_generalized_risk(confidence_levels(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0])))[0] == pytest.approx(3 / 16)


@pytest.mark.parametrize("ties", [None, 1])
def test_generalized_risk_follows_from_the_auroc_of_failures(ties: int | None) -> None:
    # Traub et al. 2024: AUGRC = (1 − AUROC) · acc · (1 − acc) + (1 − acc)² / 2.
    rng = np.random.default_rng(0)
    confidence = rng.random(500) if ties is None else np.round(rng.random(500), ties)
    correct = (rng.random(500) < confidence).astype(float)
    accuracy, auroc = correct.mean(), roc_auc_score(correct, confidence)
    wanted = (1 - auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert area_under_generalized_risk(confidence_levels(confidence, correct))[0] == pytest.approx(wanted)


def test_generalized_risk_of_every_row() -> None:
    levels = confidence_levels(np.array([0.2, 0.5, 0.6, 0.9]), np.array([1, 0, 0, 1]))
    (drawn,) = bootstrap_resamples(levels, 20, np.random.default_rng(0))
    for row, value in enumerate(area_under_generalized_risk(drawn)):
        confidence = np.repeat(levels.confidence, drawn.counts[row])
        correct = np.concatenate([[1] * h + [0] * (c - h) for c, h in zip(drawn.counts[row], drawn.hits[row], strict=True)])
        assert area_under_generalized_risk(confidence_levels(confidence, correct))[0] == pytest.approx(value)


@pytest.mark.parametrize(("coverage", "accuracy", "answered"), [(0.25, 1.0, 1), (0.5, 0.75, 2), (0.75, 2 / 3, 3), (0.6, 2 / 3, 3), (1.0, 0.5, 4)])
def test_accuracy_at_coverage_by_hand(coverage: float, accuracy: float, answered: int) -> None:
    # The second and third are as sure as each other, one right and one wrong: the second place is right by half.
    levels = confidence_levels(np.array([0.9, 0.8, 0.8, 0.6]), np.array([1, 0, 1, 0]))
    assert accuracy_at_coverage(levels, coverage) == (pytest.approx(accuracy), answered)
