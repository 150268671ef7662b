"""What predictions say against a run, on predictions whose fault is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.execution.prediction_findings import far_better, prediction_findings

CLASSES = 10
NAMES = [f"class {i}" for i in range(CLASSES)]
LABELS = np.repeat(np.arange(CLASSES), 20)


def logits(predicted: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[predicted]


def answers(accuracy: float, seed: int = 0) -> np.ndarray:
    """Predictions of which about this share is right."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(LABELS)) < accuracy, LABELS, rng.integers(0, CLASSES, len(LABELS)))


def codes(predicted: np.ndarray, **alternatives: list[int]) -> list[str]:
    return [finding.code for finding in prediction_findings(logits(predicted), LABELS, NAMES, alternatives)]


@pytest.mark.parametrize("accuracy", [0.4, 0.7, 0.95, 1.0])
def test_sound_predictions_give_no_finding(accuracy: float) -> None:
    assert codes(answers(accuracy)) == []


def test_a_shifted_class_order_is_found() -> None:
    shifted = (answers(0.7) + 1) % CLASSES
    assert codes(shifted)[0] == "other-class-order-better"


def test_the_order_that_was_not_taken_is_named_where_it_is_far_better() -> None:
    shifted = (answers(0.7) + 1) % CLASSES
    (finding,) = [
        f for f in prediction_findings(logits(shifted), LABELS, NAMES, {"sorted as text": [(i + 1) % CLASSES for i in range(CLASSES)]}) if "sorted" in f.message
    ]
    assert finding.code == "other-class-order-better"
    assert codes(answers(0.7), other=[(i + 1) % CLASSES for i in range(CLASSES)]) == []


def test_guesses_are_near_chance_and_no_order_of_classes_explains_them() -> None:
    for seed in range(20):
        assert codes(answers(0.0, seed)) == ["near-chance"]


def test_one_answer_for_everything_is_told_unless_the_data_are_so() -> None:
    constant = np.full(len(LABELS), 3)
    assert codes(constant) == ["one-class-predicted", "near-chance"]
    one = prediction_findings(logits(constant), np.full(len(LABELS), 3), NAMES, {})
    assert one == []


def test_few_examples_conclude_nothing() -> None:
    assert prediction_findings(logits(np.zeros(10, dtype=int)), np.arange(10), NAMES, {}) == []


def test_labels_that_lack_classes_and_outputs_that_answer_none() -> None:
    labels = np.repeat([0, 1], 30)
    assert prediction_findings(logits(labels), labels, NAMES, {}) == []


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=300))
def test_far_better_is_one_sided_and_paired(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    assert not (far_better(first, second, 1) and far_better(second, first, 1))
    assert not far_better(first, first, 1)
    if far_better(first, second, 5):
        assert far_better(first, second, 1)
