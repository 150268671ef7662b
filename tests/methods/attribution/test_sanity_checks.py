"""Model parameter randomisation test: rank correlation, permuted parameters, and methods that depend on them or not."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from toy_models import Edges, batch_of, linear_model, noise, vit

from efficient360.methods.attribution.gradients import GradientXInput, IntegratedGradients
from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.method import RandomAttribution
from efficient360.methods.attribution.occlusion import Occlusion
from efficient360.methods.attribution.sanity_checks import STAGES, parameter_randomised, rank_correlation


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=30, deadline=None)
def test_rank_correlation_is_scipys(seed: int, ties: bool) -> None:
    first, second = (torch.rand((1, 20), generator=torch.Generator().manual_seed(seed + i)) for i in range(2))
    if ties:
        first, second = (first * 4).round(), (second * 4).round()
    expected = spearmanr(first[0].numpy(), second[0].numpy()).statistic
    assert float(rank_correlation(first, second)) == pytest.approx(expected, abs=1e-9)


def test_rank_correlation_of_constant_rows() -> None:
    flat, rising = torch.zeros((1, 4)), torch.arange(4.0)[None]
    assert rank_correlation(flat, flat + 2).tolist() == [1.0]
    assert rank_correlation(flat, rising).tolist() == [0.0]
    assert rank_correlation(rising, -rising).tolist() == pytest.approx([-1.0])


def test_randomisation_cascades_from_the_head_and_permutes_each_tensor() -> None:
    model = vit()
    before = {name: parameter.clone() for name, parameter in model.network.named_parameters()}
    changed = {}
    for stage, randomised in parameter_randomised(model, 0):
        moved = set()
        for name, parameter in randomised.network.named_parameters():
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


def test_randomisation_is_seeded() -> None:
    model, images = vit(), noise(2, (3, 16, 16))
    first, again, other = (dict(parameter_randomised(model, seed))["all"](images) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize("method", [GradientXInput(), IntegratedGradients(4), Occlusion()], ids=lambda m: m.name)
def test_methods_that_depend_on_the_parameters_change(method: GradientXInput | IntegratedGradients | Occlusion) -> None:
    size = (3, 16, 16)
    model, grid = linear_model(size=size, mean=0.5), Grid(4, 4, 16, 16)
    batch = batch_of(model, noise(40, size))
    values = method.attribute(model, grid, batch)
    for _, randomised in parameter_randomised(model, 0):
        correlations = rank_correlation(values, method.attribute(randomised, grid, batch))
        assert abs(float(correlations.mean())) < 0.15


@pytest.mark.parametrize("method", [Edges(), RandomAttribution()], ids=lambda m: m.name)
def test_methods_that_ignore_the_model_stay_the_same(method: Edges | RandomAttribution) -> None:
    model = vit()
    batch, grid = batch_of(model, noise(4, (3, 16, 16))), grid_of(model)
    for _, randomised in parameter_randomised(model, 0):
        correlations = rank_correlation(method.attribute(model, grid, batch), method.attribute(randomised, grid, batch))
        assert correlations.tolist() == pytest.approx([1.0] * 4)
