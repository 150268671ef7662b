import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.methods.uncertainty import confidence_levels
from efficient360.methods.uncertainty.confidence_levels import bootstrapped, calibrated, levels_of

examples = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=40)


def test_equal_confidences_share_a_level() -> None:
    levels = levels_of(np.array([0.9, 0.5, 0.9, 0.9]), np.array([1, 0, 0, 1]))
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
        levels_of(np.array(confidence), np.array(correct))


@given(examples, st.randoms(use_true_random=False))
def test_the_order_of_examples_changes_nothing(pairs: list[tuple[float, bool]], random) -> None:
    shuffled = random.sample(pairs, len(pairs))
    first, second = (levels_of(np.array([c for c, _ in p]), np.array([h for _, h in p])) for p in (pairs, shuffled))
    assert first.counts.tolist() == second.counts.tolist()
    assert first.hits.tolist() == second.hits.tolist()


@given(examples, st.integers(0, 5))
def test_a_bootstrap_draws_as_many_examples_and_only_those_that_there_are(pairs: list[tuple[float, bool]], seed: int) -> None:
    levels = levels_of(np.array([c for c, _ in pairs]), np.array([h for _, h in pairs]))
    (drawn,) = bootstrapped(levels, 20, np.random.default_rng(seed))
    assert drawn.counts.shape == drawn.hits.shape == (20, len(levels.confidence))
    assert (drawn.counts.sum(axis=1) == len(pairs)).all()
    assert (drawn.hits <= drawn.counts).all()
    assert (drawn.hits[:, levels.hits[0] == 0] == 0).all()
    assert (drawn.hits == drawn.counts)[:, levels.hits[0] == levels.counts[0]].all()


def test_the_bootstrap_draws_every_example_alike() -> None:
    levels = levels_of(np.array([0.3, 0.3, 0.6, 0.9]), np.array([1, 0, 1, 0]))
    (drawn,) = bootstrapped(levels, 20_000, np.random.default_rng(0))
    # Counts are Binomial(4, share): mean 4 × share, standard error of the mean at most sqrt(1/20,000) = 0.007.
    np.testing.assert_allclose(drawn.counts.mean(axis=0), [2, 1, 1], atol=0.035)
    np.testing.assert_allclose(drawn.hits.mean(axis=0), [1, 1, 0], atol=0.035)
    assert drawn.counts[:, 0].var() == pytest.approx(1.0, abs=0.05)  # 4 × 1/2 × 1/2


def test_a_calibrated_model_is_right_as_often_as_it_says() -> None:
    levels = levels_of(np.array([0.0, 0.25, 0.25, 1.0]), np.array([1, 0, 1, 0]))
    (drawn,) = calibrated(levels, 20_000, np.random.default_rng(0))
    assert (drawn.counts == levels.counts).all()
    np.testing.assert_allclose(drawn.hits.mean(axis=0), [0, 0.5, 1], atol=0.03)


def test_memory_is_bounded_by_chunks_that_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confidence_levels, "CELLS", 100)
    levels = levels_of(np.linspace(0.1, 0.9, 30), np.ones(30))
    for draw in (bootstrapped, calibrated):
        assert [len(chunk.hits) for chunk in draw(levels, 10, np.random.default_rng(0))] == [3, 3, 3, 1]
