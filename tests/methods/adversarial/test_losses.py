"""The losses of the attacks, by hand."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from efficient360.methods.adversarial.losses import ce, dlr, dlr_targeted, margin_targeted

LOGITS = torch.tensor([[5.0, 3.0, 1.0, 0.0], [2.0, 4.0, 3.0, -1.0]])
LABELS = torch.tensor([0, 0])


def test_dlr_by_hand() -> None:
    # right: -(5 - 3) / (5 - 1); wrong: -(2 - 4) / (4 - 2)
    assert dlr(LOGITS, LABELS).tolist() == pytest.approx([-0.5, 1.0])


def test_targeted_dlr_by_hand() -> None:
    # -(z_y - z_t) / (z_1 - (z_3 + z_4) / 2): -(5 - 1) / (5 - .5); -(2 - 3) / (4 - (2 - 1) / 2)
    assert dlr_targeted(LOGITS, LABELS, torch.tensor([2, 2])).tolist() == pytest.approx([-4 / 4.5, 1 / 3.5])


def test_margin_and_cross_entropy_by_hand() -> None:
    assert margin_targeted(LOGITS, LABELS, torch.tensor([1, 1])).tolist() == [-2.0, 2.0]
    assert ce(torch.zeros(1, 4), torch.tensor([2])).item() == pytest.approx(1.3862944)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.floats(1e-2, 1e3), st.floats(-50, 50))
def test_ratios_know_neither_scale_nor_shift(seed: int, scale: float, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 5, generator=generator, dtype=torch.float64)
    labels, targets = torch.arange(6) % 5, (torch.arange(6) + 1) % 5
    assert torch.allclose(dlr(scale * logits + shift, labels), dlr(logits, labels), rtol=1e-6)
    assert torch.allclose(dlr_targeted(scale * logits + shift, labels, targets), dlr_targeted(logits, labels, targets), rtol=1e-6)
    assert bool((dlr(logits, labels) > 0).eq(logits.argmax(1) != labels).all())
