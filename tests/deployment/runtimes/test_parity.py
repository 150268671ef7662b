from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.deployment.runtimes.parity import TOLERANCE, parity
from efficient360.deployment.runtimes.runtime import Precision

LOGITS = np.array([[4.0, 0.0, -4.0], [0.0, 6.0, -6.0]], np.float32)
SPREAD = (8 + 12) / 6  # by hand: the means are 0, the deviations 4, 0, 4 and 0, 6, 6


def test_by_hand() -> None:
    found = LOGITS + np.array([[0.01, 0.0, 0.0], [0.0, 0.0, -0.05]], np.float32)
    result = parity(LOGITS, found, Precision.FP32)
    assert result.spread == pytest.approx(SPREAD)
    assert result.largest == pytest.approx(0.05, rel=1e-4)
    assert result.mean == pytest.approx(0.06 / 6, rel=1e-4)
    assert result.relative == pytest.approx(0.01 / SPREAD, rel=1e-4)
    assert (result.images, result.agreement, result.decided, result.decided_agreement) == (2, 1.0, 2, 1.0)
    assert result.passed
    assert result.reason == ""


@pytest.mark.parametrize("precision", list(Precision))
def test_the_tolerance_is_the_border(precision: Precision) -> None:
    border = TOLERANCE[precision] * SPREAD
    assert parity(LOGITS, LOGITS + np.float32(0.98 * border), precision).passed
    over = parity(LOGITS, LOGITS + np.float32(1.02 * border), precision)
    assert not over.passed
    assert over.reason == f"its logits are off by {102 * TOLERANCE[precision]:.3g} % of their spread, {100 * TOLERANCE[precision]:.3g} % are allowed"


def test_swapped_classes_fail_although_the_mean_difference_is_small() -> None:
    reference = np.zeros((10, 1000), np.float32)
    reference[:, 500:] = 1.0
    reference[:, 0] = 3.0
    found = reference.copy()
    found[:2, 0], found[:2, 1] = 0.0, 3.0
    result = parity(reference, found, Precision.FP32)
    assert result.relative < 0.01
    assert not result.passed
    assert result.reason == "it names another class for 20 % of the images whose class is clear"


def test_an_undecided_class_may_change() -> None:
    reference = np.tile(np.array([[1.0, 0.999, -3.0]], np.float32), (10, 1))
    found = reference[:, [1, 0, 2]]
    result = parity(reference, found, Precision.FP32)
    assert (result.agreement, result.decided, result.decided_agreement) == (0.0, 0, 1.0)
    assert result.passed


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (np.where(LOGITS == 6, np.nan, LOGITS), "its logits are not finite"),
        (np.where(LOGITS == 6, np.inf, LOGITS), "its logits are not finite"),
        (LOGITS[:, :2], "its logits are of shape (2, 2) in place of (2, 3)"),
        (LOGITS[:1], "its logits are of shape (1, 3) in place of (2, 3)"),
    ],
)
def test_what_can_not_be_compared_does_not_pass(found: np.ndarray, reason: str) -> None:
    result = parity(LOGITS, found.astype(np.float32), Precision.INT8)
    assert not result.passed
    assert result.reason == reason


def test_a_network_that_answers_all_alike_proves_nothing() -> None:
    flat = np.ones((4, 3), np.float32)
    assert not parity(flat, flat, Precision.FP32).passed


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 100.0), st.floats(-100.0, 100.0))
def test_units_and_offset_of_logits_do_not_matter(seed: int, unit: float, offset: float) -> None:
    generator = np.random.default_rng(seed)
    reference: Any = generator.normal(size=(6, 5))
    found = reference + 0.003 * generator.normal(size=(6, 5))
    plain = parity(reference, found, Precision.FP32)
    other = parity(unit * reference + offset, unit * found + offset, Precision.FP32)
    assert other.relative == pytest.approx(plain.relative, rel=1e-6)
    assert (other.agreement, other.passed) == (plain.agreement, plain.passed)
