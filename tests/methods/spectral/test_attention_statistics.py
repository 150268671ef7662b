"""Attention of which everything is known (uniform, identity, one token for all), and which matrices of a network count as attention between its tokens."""

import math
from typing import Any

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from efficient360.methods.spectral.attention_statistics import (
    AttentionStatistics,
    entropy,
    grid_distances,
    high_frequency_response,
    mean_distance,
    record_attention,
    relative_extent,
)
from efficient360.models.view.protocol import ViTView


class FixedAttention(nn.Module):
    """A layer with a given attention matrix, which it passes through ``attn_drop``."""

    def __init__(self, attention: Tensor, **named: Any) -> None:
        super().__init__()
        self.weight, self.attention, self.attn_drop = nn.Parameter(torch.ones(1)), attention, nn.Dropout(0.0)
        for name, value in named.items():
            setattr(self, name, value)

    def forward(self, tokens: Tensor) -> Tensor:
        self.attn_drop(self.attention)
        return tokens


class Network(nn.Module):
    def __init__(self, layer: nn.Module, prefix: int = 0) -> None:
        super().__init__()
        self.layer, self.num_prefix_tokens = layer, prefix


def recorded(attention: Tensor, tokens: Tensor, batch: int, prefix: int = 0, side: int = 8, **named: Any) -> list[AttentionStatistics]:
    network = Network(FixedAttention(attention, **named), prefix)
    with record_attention(network, torch.zeros(batch, 3, side, side), ViTView(probabilities=("layer.attn_drop",))) as statistics:
        network.layer(tokens)
    assert not network.layer.attn_drop._forward_hooks
    return statistics


def uniform(*shape: int) -> Tensor:
    return torch.full(shape, 1 / shape[-1])


UNIFORM_2X2 = (0.5 + 0.5 + math.sqrt(0.5)) / 4


def test_uniform_attention_behind_a_class_token() -> None:
    (layer,) = recorded(uniform(2, 3, 5, 5), torch.zeros(2, 5, 6), 2, prefix=1)
    torch.testing.assert_close(layer.entropy, torch.ones(2, 3, dtype=torch.float64))
    assert layer.response.abs().max() < 1e-7
    assert layer.distance is not None
    torch.testing.assert_close(layer.distance, torch.full((2, 3), UNIFORM_2X2, dtype=torch.float64))


def test_entropy_and_distance_are_those_of_patches_only() -> None:
    attention = torch.eye(5).expand(1, 1, 5, 5).clone()
    attention[0, 0, 0] = 0.2  # the class token attends uniformly
    (layer,) = recorded(attention, torch.zeros(1, 5, 6), 1, prefix=1)
    assert layer.entropy.item() == 0
    assert layer.distance is not None
    assert layer.distance.item() == 0


def test_distances_within_windows_are_in_image_sides() -> None:
    # a map of 4 × 4 tokens in four windows of 2 × 2, two images
    (layer,) = recorded(uniform(8, 3, 4, 4), torch.zeros(8, 4, 6), 2, window_size=(2, 2))
    assert layer.distance is not None
    torch.testing.assert_close(layer.distance, torch.full((2, 3), UNIFORM_2X2 / 2, dtype=torch.float64))


def test_windows_of_unknown_position_have_no_distance() -> None:
    (layer,) = recorded(uniform(8, 3, 4, 4), torch.zeros(8, 4, 6), 2)
    assert layer.distance is None
    assert layer.entropy.shape == (2, 3)


@pytest.mark.parametrize("shape", [(2, 4, 3, 4, 4), (2, 3, 4, 4, 4)])
def test_a_window_axis_may_stand_before_or_after_the_heads(shape: tuple[int, ...]) -> None:
    (layer,) = recorded(uniform(*shape), torch.zeros(2, 4, 4, 6), 2, num_heads=3)
    assert layer.entropy.shape == (2, 3)


def test_reduced_keys() -> None:
    (layer,) = recorded(uniform(1, 2, 16, 4), torch.zeros(1, 16, 6), 1)
    assert layer.entropy.flatten().tolist() == pytest.approx([1, 1])
    assert layer.distance is not None
    pairs = [math.hypot((r + 0.5) / 4 - (i + 0.5) / 2, (c + 0.5) / 4 - (j + 0.5) / 2) for r in range(4) for c in range(4) for i in range(2) for j in range(2)]
    assert layer.distance[0].tolist() == pytest.approx([sum(pairs) / 64] * 2)


@pytest.mark.parametrize(
    ("attention", "tokens"),
    [
        (uniform(2, 3, 8, 8), torch.zeros(2, 16, 24)),  # over channels
        (uniform(2, 3, 1, 16), torch.zeros(2, 16, 24)),  # a class token alone
        (torch.ones(2, 3, 16, 16), torch.zeros(2, 16, 24)),  # rows that don't sum to 1
    ],
)
def test_other_matrices_are_ignored(attention: Tensor, tokens: Tensor) -> None:
    assert recorded(attention, tokens, 2) == []


def test_heads_may_share_an_axis_with_the_images() -> None:
    (layer,) = recorded(uniform(6, 16, 16), torch.zeros(2, 16, 24), 2)
    assert layer.entropy.shape == (2, 3)


def test_a_vision_transformer_against_its_own_fused_attention() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=3).eval()
    images = torch.rand((3, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    inputs: list[Tensor] = []
    with torch.no_grad():
        for block in network.blocks:
            block.attn.qkv.weight.mul_(20)
        hook = network.blocks[1].attn.register_forward_pre_hook(lambda _module, given: inputs.append(given[0]))
        plain = network(images)
        hook.remove()
        with record_attention(network, images, ViTView()) as layers:
            observed = network(images)
        q, k, _ = network.blocks[1].attn.qkv(inputs[0]).reshape(3, 17, 3, 2, 16).permute(2, 0, 3, 1, 4)
    torch.testing.assert_close(observed, plain, atol=1e-4, rtol=1e-4)
    assert [layer.name for layer in layers] == ["blocks.0.attn", "blocks.1.attn"]
    attention = (q @ k.mT / 4).softmax(-1).double()
    expected = -(attention * attention.log()).sum(-1)[:, :, 1:].mean(-1) / math.log(17)
    torch.testing.assert_close(layers[1].entropy, expected, atol=1e-5, rtol=1e-5)
    gain = (attention - attention.mean(2, keepdim=True)).norm(dim=(2, 3)) / 4
    torch.testing.assert_close(layers[1].response, gain, atol=1e-5, rtol=1e-5)


SQUARE = (1.0, 1.0)


def uniform_matrix(queries: int, keys: int) -> torch.Tensor:
    return torch.full((queries, keys), 1 / keys)


def test_uniform_attention() -> None:
    attention = uniform_matrix(4, 4)
    assert entropy(attention).item() == pytest.approx(math.log(4))
    assert high_frequency_response(attention).item() == 0
    distances = grid_distances((2, 2), (2, 2), SQUARE)
    assert mean_distance(attention, distances).item() == pytest.approx((0 + 0.5 + 0.5 + math.sqrt(0.5)) / 4)


def test_identity_attention() -> None:
    attention = torch.eye(9)
    assert entropy(attention).item() == 0
    assert high_frequency_response(attention).item() == pytest.approx(1)
    assert mean_distance(attention, grid_distances((3, 3), (3, 3), SQUARE)).item() == 0


def test_attention_of_all_to_one_token_passes_nothing() -> None:
    attention = torch.eye(6)[[2] * 6]
    assert (entropy(attention).item(), high_frequency_response(attention).item()) == (0, 0)


def test_attention_to_the_neighbour_has_distance_one() -> None:
    attention = torch.eye(4).roll(1, 1)[None, None]  # in a row of four: three look one step, one three steps
    distances = grid_distances((1, 4), (1, 4), (1.0, 4.0))
    assert mean_distance(attention, distances).item() == pytest.approx((1 + 1 + 1 + 3) / 4)
    assert high_frequency_response(attention).item() == pytest.approx(1)


def test_uniform_attention_on_a_fine_grid_has_the_mean_distance_of_two_points_in_a_square() -> None:
    distances = grid_distances((32, 32), (32, 32), SQUARE)
    known = (2 + math.sqrt(2) + 5 * math.log(1 + math.sqrt(2))) / 15  # mean distance of two random points in the unit square
    assert mean_distance(uniform_matrix(1024, 1024), distances).item() == pytest.approx(known, rel=0.002)


def test_attention_to_class_tokens_does_not_count() -> None:
    distances = grid_distances((1, 2), (1, 2), (1.0, 2.0))
    assert mean_distance(torch.tensor([[0.1, 0.1], [0.2, 0.2]]), distances).item() == pytest.approx(0.5)
    assert mean_distance(torch.zeros(2, 2), distances).item() == 0


def test_reduced_keys_lie_in_the_middle_of_their_cells() -> None:
    distances = grid_distances((2, 2), (1, 1), SQUARE)
    assert distances.flatten().tolist() == pytest.approx([math.sqrt(2) / 4] * 4)


def test_more_queries_than_keys_pass_everything_if_all_keys_are_used_equally() -> None:
    attention = torch.eye(3).repeat_interleave(4, 0)
    assert high_frequency_response(attention).item() == pytest.approx(1)


def test_the_extent_of_an_image() -> None:
    assert relative_extent(32, 32) == (1, 1)
    assert relative_extent(10, 40) == pytest.approx((0.5, 2))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 8), seed=st.integers(0, 999))
def test_the_response_is_the_gain_for_white_noise_beyond_its_mean(n: int, seed: int) -> None:
    attention = np.random.default_rng(seed).dirichlet(np.full(n, 0.5), size=n)
    centre = np.eye(n) - 1 / n
    matrix = centre @ attention @ centre
    ours = high_frequency_response(torch.from_numpy(attention)).item()
    assert ours == pytest.approx(np.linalg.norm(matrix) / math.sqrt(n - 1))
    assert 0 <= ours <= 1 + 1e-12
    assert entropy(torch.from_numpy(attention)).item() <= math.log(n) + 1e-12
