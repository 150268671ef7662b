"""Shuffled weights: what explains them is changed by them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from toy_models import Edges, asked, linear_model, noise, vit

from efficient360.methods.attribution.chance import Chance
from efficient360.methods.attribution.gradient_input import GradientInput
from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.integrated_gradients import IntegratedGradients
from efficient360.methods.attribution.occlusion import Occlusion
from efficient360.methods.attribution.randomisation import STAGES, randomised, rank_correlation


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=30, deadline=None)
def test_rank_correlation_is_scipys(seed: int, ties: bool) -> None:
    first, second = (torch.rand((1, 20), generator=torch.Generator().manual_seed(seed + i)) for i in range(2))
    if ties:
        first, second = (first * 4).round(), (second * 4).round()
    expected = spearmanr(first[0].numpy(), second[0].numpy()).statistic
    assert float(rank_correlation(first, second)) == pytest.approx(expected, abs=1e-9)


def test_rows_of_equal_values_rank_nothing() -> None:
    flat, rising = torch.zeros((1, 4)), torch.arange(4.0)[None]
    assert rank_correlation(flat, flat + 2).tolist() == [1.0]
    assert rank_correlation(flat, rising).tolist() == [0.0]
    assert rank_correlation(rising, -rising).tolist() == pytest.approx([-1.0])


def test_the_shuffle_goes_down_from_the_head_and_keeps_every_tensors_values() -> None:
    model = vit()
    before = {name: parameter.clone() for name, parameter in model.network.named_parameters()}
    changed = {}
    for stage, other in randomised(model, 0):
        moved = set()
        for name, parameter in other.network.named_parameters():
            assert torch.equal(parameter.flatten().sort().values, before[name].flatten().sort().values)
            if not torch.equal(parameter, before[name]):
                moved.add(name)
        changed[stage] = moved
    assert tuple(changed) == STAGES
    assert changed["head"] == {"head.weight"}  # its bias begins as zeros
    assert "blocks.1.mlp.fc1.weight" in changed["upper half"]
    assert not any(name.startswith(("blocks.0.", "patch_embed", "pos_embed", "cls_token")) for name in changed["upper half"])
    assert {"patch_embed.proj.weight", "pos_embed", "cls_token", "blocks.0.attn.qkv.weight"} <= changed["all"]
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.network.named_parameters())


def test_the_shuffle_is_the_seeds() -> None:
    model, images = vit(), noise(2, (3, 16, 16))
    first, again, other = (dict(randomised(model, seed))["all"](images) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize("explainer", [GradientInput(), IntegratedGradients(4), Occlusion()], ids=lambda e: e.name)
def test_what_reads_the_weights_forgets_with_them(explainer: GradientInput | IntegratedGradients | Occlusion) -> None:
    size = (3, 16, 16)
    model, grid = linear_model(size=size, mean=0.5), Grid(4, 4, 16, 16)
    question = asked(model, noise(40, size))
    values = explainer.explain(model, grid, question)
    for _, other in randomised(model, 0):
        alike = rank_correlation(values, explainer.explain(other, grid, question))
        assert abs(float(alike.mean())) < 0.15


@pytest.mark.parametrize("explainer", [Edges(), Chance()], ids=lambda e: e.name)
def test_what_never_looks_at_the_model_survives(explainer: Edges | Chance) -> None:
    model = vit()
    question, grid = asked(model, noise(4, (3, 16, 16))), grid_of(model)
    for _, other in randomised(model, 0):
        alike = rank_correlation(explainer.explain(model, grid, question), explainer.explain(other, grid, question))
        assert alike.tolist() == pytest.approx([1.0] * 4)
