"""Slices and shapes of cut networks: against torch-pruning, and against what stood there before."""

import copy
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from efficient360.models.structure.factored_linear import FactoredLinear, truncated
from efficient360.models.structure.merging_blocks import MergingBlocks, bipartite_soft_matching
from efficient360.models.structure.slicing import PassThrough, has_heads, keep_heads, keep_hidden, mlp_layers
from efficient360.models.structure.structure import Structure, difference, split_structure


@pytest.fixture
def network() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=4, num_classes=10)
    return made.eval().requires_grad_(False)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_hidden_units_are_sliced_as_torch_pruning_does(network: Any, images: Tensor) -> None:
    torch_pruning = pytest.importorskip("torch_pruning")
    gone = list(range(0, 256, 3))
    ours, theirs = copy.deepcopy(network), copy.deepcopy(network).requires_grad_()
    for block in ours.blocks:
        keep_hidden(block.mlp, [unit for unit in range(256) if unit not in gone])
    graph = torch_pruning.DependencyGraph().build_dependency(theirs, example_inputs=images)
    for block in theirs.blocks:
        graph.get_pruning_group(block.mlp.fc1, torch_pruning.prune_linear_out_channels, idxs=gone).prune()
    assert [tuple(p.shape) for p in ours.parameters()] == [tuple(p.shape) for p in theirs.parameters()]
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


def test_heads_by_hand(network: Any, images: Tensor) -> None:
    attention = network.blocks[0].attn
    tokens = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(4))
    queries, keys, values = (attention.qkv(tokens)[..., 64 * part : 64 * (part + 1)] for part in range(3))
    mixed = []
    for head in (1, 3):
        place = slice(16 * head, 16 * (head + 1))
        mixed.append((queries[..., place] @ keys[..., place].transpose(1, 2) / 4).softmax(-1) @ values[..., place])
    wanted = torch.cat(mixed, -1) @ attention.proj.weight[:, [*range(16, 32), *range(48, 64)]].T + attention.proj.bias
    keep_heads(attention, (1, 3))
    torch.testing.assert_close(attention(tokens), wanted, rtol=1e-4, atol=1e-5)


def test_torchvisions_mlps_are_sliced_too(images: Tensor) -> None:
    network = torchvision.models.VisionTransformer(32, 8, 1, 2, 64, 128, num_classes=10).eval().requires_grad_(False)
    nn.init.normal_(network.heads.head.weight)
    (mlp,) = [module for module in network.modules() if mlp_layers(module) is not None]
    wanted = copy.deepcopy(network)
    (whole,) = [module for module in wanted.modules() if mlp_layers(module) is not None]
    whole.get_submodule("3").weight[:, 100:] = 0
    keep_hidden(mlp, range(100))
    torch.testing.assert_close(network(images), wanted(images))


def test_parts_that_are_tied_together_are_left_alone() -> None:
    normed = timm.layers.Mlp(8, 16, norm_layer=nn.LayerNorm)
    assert mlp_layers(normed) is None
    assert mlp_layers(timm.layers.SwiGLU(8, 16)) is None
    assert not has_heads(timm.layers.Attention(8, 2, scale_norm=True, norm_layer=nn.LayerNorm))
    assert has_heads(timm.layers.Attention(8, 2, qk_norm=True, norm_layer=nn.LayerNorm))
    assert not has_heads(nn.MultiheadAttention(8, 2))


def test_a_structure_is_what_tells_two_networks_apart(network: Any) -> None:
    said = Structure(widths={"blocks.0.mlp": 40}, heads={"blocks.0.attn": 1}, ranks={"blocks.0.mlp.fc2": 7, "head": 3}, merged=25)
    cut = copy.deepcopy(network)
    said.impose(cut)
    assert isinstance(cut.blocks, MergingBlocks)
    assert difference(cut, network) == said.to_json()
    without = copy.deepcopy(network)
    Structure(dropped=("blocks.1",)).impose(without)
    assert isinstance(without.blocks[1], PassThrough)
    assert difference(without, network) == {"dropped": ["blocks.1"]}
    assert difference(network, network) == {}
    given, read = split_structure({"depth": 2, "structure": said.to_json()})
    assert (given, read) == ({"depth": 2}, said)


def test_a_factored_layer_is_its_product() -> None:
    layer = nn.Linear(20, 12).requires_grad_(False)
    rows = torch.randn(4, 20)
    factored = truncated(layer, 12)
    torch.testing.assert_close(factored(rows), layer(rows), rtol=1e-4, atol=1e-5)
    assert (factored.rank, factored.in_features, factored.out_features) == (12, 20, 12)
    small: FactoredLinear = truncated(layer, 3)
    assert small.up.is_contiguous()
    assert small.down.is_contiguous()
    torch.testing.assert_close(small(rows), rows @ small.weight.T + layer.bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [2, 5, 8, 9])
def test_matching_by_comparison_is_matching_by_sorting(count: int) -> None:
    """The same destinations as with argsort and scatter, ties included."""
    generator = torch.Generator().manual_seed(count)
    keys = torch.randn(6, count, 3, generator=generator)
    keys[3:] = torch.randint(0, 2, keys[3:].shape, generator=generator).float() + 0.5  # with many ties
    for r in range(1, count // 2 + 1):
        ours = bipartite_soft_matching(keys, r)
        unit = nn.functional.normalize(keys, dim=-1)
        similarity = unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)
        for image in range(len(keys)):
            best, partner = similarity[image].amax(-1), similarity[image].argmax(-1)
            ranked = sorted(range(len(best)), key=lambda i: (-float(best[i]), i))
            merged, kept = ranked[:r], sorted(ranked[r:])
            wanted = {2 * i + 1: len(kept) + i for i in range(count // 2)}
            wanted |= {2 * i: place for place, i in enumerate(kept)}
            wanted |= {2 * i: len(kept) + int(partner[i]) for i in merged}
            assert ours.destinations[image].tolist() == [wanted[i] for i in range(count)]
