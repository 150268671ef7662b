"""Balls in pixel space."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from efficient360.methods.adversarial.threat_model import Norm, ThreatModel


def images(seed: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    origin = torch.rand((3, 3, 5, 5), generator=generator)
    return origin, origin + spread * torch.randn(origin.shape, generator=generator)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.floats(1e-4, 2.0), st.sampled_from(Norm), st.floats(1e-3, 1.0))
def test_a_projection_is_allowed_and_projecting_again_changes_nothing(seed: int, spread: float, norm: Norm, epsilon: float) -> None:
    origin, moved = images(seed, spread)
    threat = ThreatModel(norm, epsilon)
    once = threat.project(moved, origin)
    assert bool(threat.contains(once, origin).all())
    assert torch.allclose(threat.project(once, origin), once, atol=1e-6)


@pytest.mark.parametrize("norm", Norm)
def test_what_is_inside_stays(norm: Norm) -> None:
    origin, moved = images(0, 1e-4)
    inside = moved.clamp(0, 1)
    assert torch.allclose(ThreatModel(norm, 0.5).project(inside, origin), inside, atol=1e-7)


def test_the_l2_projection_by_hand() -> None:
    origin, moved = torch.full((1, 3, 1, 1), 0.5), torch.tensor([0.8, 0.9, 0.5]).view(1, 3, 1, 1)
    result = ThreatModel(Norm.L2, 0.25).project(moved, origin)
    assert torch.allclose(result.flatten(), torch.tensor([0.65, 0.70, 0.5]))  # a change of (.3, .4, 0), length .5, halved


def test_distances_by_hand() -> None:
    origin, moved = torch.zeros(1, 3, 1, 1), torch.tensor([0.3, 0.4, 0.0]).view(1, 3, 1, 1)
    assert ThreatModel(Norm.LINF, 1).distance(moved, origin).item() == pytest.approx(0.4)
    assert ThreatModel(Norm.L2, 1).distance(moved, origin).item() == pytest.approx(0.5)


def test_outside_the_ball_or_the_pixel_range_is_not_allowed() -> None:
    origin = torch.zeros(3, 3, 1, 1)
    moved = torch.tensor([0.05, 0.2, -0.05]).view(3, 1, 1, 1).expand(3, 3, 1, 1)
    assert ThreatModel(Norm.LINF, 0.1).contains(moved, origin).tolist() == [True, False, False]


def test_labels() -> None:
    assert ThreatModel(Norm.LINF, 4 / 255).label == "4/255"
    assert ThreatModel(Norm.LINF, 0.25 / 255).label == "0.25/255"
    assert ThreatModel(Norm.L2, 0.5).label == "0.5"
