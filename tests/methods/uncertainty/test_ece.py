import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_calibration_error

from efficient360.core.arrays import Floats
from efficient360.methods.uncertainty import ece as ece_module
from efficient360.methods.uncertainty.ece import (
    bootstrap_resamples,
    calibrated_resamples,
    confidence_levels,
    expected_calibration_error,
    reliability_bins,
)


def ece(confidence: Floats, correct: Floats, bins: int = 15) -> float:
    (value,) = expected_calibration_error(confidence_levels(np.asarray(confidence), np.asarray(correct)), bins)
    return float(value)


def by_hand(confidence: Floats, correct: Floats, bins: int) -> float:
    """The definition, example by example, for confidences without ties."""
    order = np.argsort(confidence)
    edges = [b * len(order) // bins for b in range(bins + 1)]
    parts = [order[low:high] for low, high in pairwise(edges) if high > low]
    return sum(len(p) / len(order) * abs(float(np.mean(correct[p])) - float(np.mean(confidence[p]))) for p in parts)


def test_a_table_worked_by_hand() -> None:
    # Two bins: {0.5, 0.6} with accuracy 1/2, {0.8, 0.9} with accuracy 1: (|0.5 − 0.55| + |1 − 0.85|) / 2 = 0.1.
    confidence, correct = np.array([0.9, 0.6, 0.5, 0.8]), np.array([1, 0, 1, 1])
    assert ece(confidence, correct, 2) == pytest.approx(0.1)
    assert ece(confidence, correct, 1) == pytest.approx(0.05)  # |0.75 − 0.7|
    assert ece(confidence, correct, 4) == pytest.approx((0.5 + 0.6 + 0.2 + 0.1) / 4)


def test_bins_are_of_equal_mass() -> None:
    shown = reliability_bins(confidence_levels(np.array([0.9, 0.6, 0.5, 0.8]), np.array([1, 0, 1, 1])), 2)
    assert [(b.count, b.hits) for b in shown] == [(2, 1), (2, 2)]
    assert [b.confidence for b in shown] == pytest.approx([0.55, 0.85])


@pytest.mark.parametrize("n", [7, 100, 1001])
def test_against_the_definition(n: int) -> None:
    rng = np.random.default_rng(n)
    confidence = rng.random(n)
    correct = (rng.random(n) < confidence**2).astype(float)
    assert ece(confidence, correct) == pytest.approx(by_hand(confidence, correct, 15))


@pytest.mark.parametrize("per_bin", [1, 4, 40])
def test_against_torchmetrics_where_bins_of_equal_mass_and_of_equal_width_are_the_same(per_bin: int) -> None:
    n = 15 * per_bin
    confidence = (np.arange(n) + 0.5) / n
    correct = (np.random.default_rng(per_bin).random(n) < 0.7).astype(float)
    theirs = binary_calibration_error(torch.tensor(confidence), torch.tensor(correct).int(), n_bins=15, norm="l1")
    assert ece(confidence, correct) == pytest.approx(float(theirs), abs=1e-6)


def test_examples_of_equal_confidence_share_a_bin() -> None:
    # Six of ten are sure: split between bins, their errors would count whichever way they happened to be sorted.
    confidence, correct = np.array([0.2, 0.3, 0.4, 0.5, *[1.0] * 6]), np.array([0, 0, 0, 0, 1, 1, 1, 0, 0, 0])
    shown = reliability_bins(confidence_levels(confidence, correct), 5)
    assert [(b.count, b.confidence) for b in shown] == [(2, pytest.approx(0.25)), (2, pytest.approx(0.45)), (6, 1.0)]
    assert ece(confidence, correct, 5) == pytest.approx(0.2 * 0.25 + 0.2 * 0.45 + 0.6 * 0.5)


def test_known_extremes() -> None:
    assert ece(np.ones(20), np.ones(20)) == 0
    assert ece(np.ones(20), np.zeros(20)) == 1
    assert ece(np.full(8, 0.75), np.array([1, 1, 1, 0, 1, 1, 0, 1])) == 0


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="0 bins"):
        ece(np.array([0.5]), np.array([1]), 0)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50), st.integers(1, 20), st.randoms(use_true_random=False))
def test_bounds_permutation_and_the_bins_of_the_diagram(pairs: list[tuple[float, bool]], bins: int, random) -> None:
    confidence, correct = np.array([c for c, _ in pairs]), np.array([h for _, h in pairs])
    order = np.array(random.sample(range(len(pairs)), len(pairs)))
    value = ece(confidence, correct, bins)
    assert 0 <= value <= 1
    assert ece(confidence[order], correct[order], bins) == value
    # The gap of all examples together can't exceed the sum of the bins' gaps (triangle inequality).
    assert value >= abs(confidence.mean() - correct.mean()) - 1e-9
    shown = reliability_bins(confidence_levels(confidence, correct), bins)
    assert sum(b.count for b in shown) == len(pairs)
    assert len(shown) <= bins
    assert sum(b.count * abs(b.hits / b.count - b.confidence) for b in shown) / len(pairs) == pytest.approx(value, abs=1e-9)


def test_rows_are_counted_each_on_its_own() -> None:
    levels = confidence_levels(np.array([0.5, 0.6, 0.8, 0.9]), np.array([1, 0, 1, 1]))
    (drawn,) = bootstrap_resamples(levels, 50, np.random.default_rng(0))
    for row, value in enumerate(expected_calibration_error(drawn, 3)):
        counts, hits = drawn.counts[row], drawn.hits[row]
        confidence = np.repeat(levels.confidence, counts)
        correct = np.concatenate([[1] * h + [0] * (c - h) for c, h in zip(counts, hits, strict=True)])
        assert ece(confidence, correct, 3) == pytest.approx(value)


def test_one_bin_of_a_calibrated_model_has_a_null_known_in_closed_form() -> None:
    # One bin, all confidences 1/2, n = 4: E|hits − 2| / 4 = (2·1/16 + 1·4/16) · 2 / 4 = 0.1875.
    levels = confidence_levels(np.full(4, 0.5), np.ones(4))
    (draws,) = calibrated_resamples(levels, 40_000, np.random.default_rng(0))
    assert expected_calibration_error(draws, 1).mean() == pytest.approx(0.1875, abs=0.004)


def test_fifty_thousand_examples_stay_within_200_megabytes() -> None:
    confidence = np.random.default_rng(0).random(50_000)
    levels = confidence_levels(confidence, np.ones(50_000))
    tracemalloc.start()
    for draw in (bootstrap_resamples, calibrated_resamples):
        for chunk in draw(levels, 45, np.random.default_rng(0)):
            expected_calibration_error(chunk, 15)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6


examples = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=40)


def test_equal_confidences_share_a_level() -> None:
    levels = confidence_levels(np.array([0.9, 0.5, 0.9, 0.9]), np.array([1, 0, 0, 1]))
    assert levels.confidence.tolist() == [0.5, 0.9]
    assert levels.counts.tolist() == [[1, 3]]
    assert levels.hits.tolist() == [[0, 2]]
    assert levels.n == 4


@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([], [], "non-empty"),
        ([0.5, 0.6], [1], "not two equal"),
        ([1.01], [1], "outside"),
        ([float("nan")], [1], "outside"),
        ([0.5], [0.5], "neither 0 nor 1"),
    ],
)
def test_what_is_no_confidence_or_correctness_is_refused(confidence: list[float], correct: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confidence_levels(np.array(confidence), np.array(correct))


@given(examples, st.randoms(use_true_random=False))
def test_the_order_of_examples_changes_nothing(pairs: list[tuple[float, bool]], random) -> None:
    shuffled = random.sample(pairs, len(pairs))
    first, second = (confidence_levels(np.array([c for c, _ in p]), np.array([h for _, h in p])) for p in (pairs, shuffled))
    assert first.counts.tolist() == second.counts.tolist()
    assert first.hits.tolist() == second.hits.tolist()


@given(examples, st.integers(0, 5))
def test_a_bootstrap_draws_as_many_examples_and_only_those_that_there_are(pairs: list[tuple[float, bool]], seed: int) -> None:
    levels = confidence_levels(np.array([c for c, _ in pairs]), np.array([h for _, h in pairs]))
    (drawn,) = bootstrap_resamples(levels, 20, np.random.default_rng(seed))
    assert drawn.counts.shape == drawn.hits.shape == (20, len(levels.confidence))
    assert (drawn.counts.sum(axis=1) == len(pairs)).all()
    assert (drawn.hits <= drawn.counts).all()
    assert (drawn.hits[:, levels.hits[0] == 0] == 0).all()
    assert (drawn.hits == drawn.counts)[:, levels.hits[0] == levels.counts[0]].all()


def test_the_bootstrap_draws_every_example_alike() -> None:
    levels = confidence_levels(np.array([0.3, 0.3, 0.6, 0.9]), np.array([1, 0, 1, 0]))
    (drawn,) = bootstrap_resamples(levels, 20_000, np.random.default_rng(0))
    # Counts are Binomial(4, share): mean 4 × share, standard error of the mean at most sqrt(1/20,000) = 0.007.
    np.testing.assert_allclose(drawn.counts.mean(axis=0), [2, 1, 1], atol=0.035)
    np.testing.assert_allclose(drawn.hits.mean(axis=0), [1, 1, 0], atol=0.035)
    assert drawn.counts[:, 0].var() == pytest.approx(1.0, abs=0.05)  # 4 × 1/2 × 1/2


def test_a_calibrated_model_is_right_as_often_as_it_says() -> None:
    levels = confidence_levels(np.array([0.0, 0.25, 0.25, 1.0]), np.array([1, 0, 1, 0]))
    (drawn,) = calibrated_resamples(levels, 20_000, np.random.default_rng(0))
    assert (drawn.counts == levels.counts).all()
    np.testing.assert_allclose(drawn.hits.mean(axis=0), [0, 0.5, 1], atol=0.03)


def test_memory_is_bounded_by_chunks_that_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ece_module, "MAX_CELLS", 100)
    levels = confidence_levels(np.linspace(0.1, 0.9, 30), np.ones(30))
    for draw in (bootstrap_resamples, calibrated_resamples):
        assert [len(chunk.hits) for chunk in draw(levels, 10, np.random.default_rng(0))] == [3, 3, 3, 1]
