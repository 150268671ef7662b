"""Each compressor against another library, or against what is known of it."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from efficient360.errors import Unsupported
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compressor import weights_of
from efficient360.methods.compression.low_rank import LowRankFactorization
from efficient360.methods.compression.pruning import MagnitudePruning, TwoOfFourSparsity
from efficient360.methods.compression.quantization import HalfPrecision, Quantization
from efficient360.models.structure.factored_linear import FactoredLinear
from efficient360.models.weight_codes import QUANTIZATION_GROUP


def layer(inputs: int = 100, outputs: int = 24, seed: int = 0) -> Any:
    made = nn.Sequential(nn.Linear(inputs, outputs))
    weight = torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed)) * 0.05
    made[0].weight = nn.Parameter(weight, requires_grad=False)
    return made.requires_grad_(False)


@pytest.mark.parametrize("bits", range(2, 9))
def test_quantization_is_torchs_fake_quantization_of_every_group(bits: int) -> None:
    made = layer()
    found = Quantization(bits).compress(made).network[0].weight
    steps = 2 ** (bits - 1) - 1
    for row, ours in zip(made[0].weight, found, strict=True):
        for start in range(0, 100, QUANTIZATION_GROUP):
            group = row[start : start + QUANTIZATION_GROUP]
            scale = (group.abs().max() / steps).bfloat16().float()
            theirs = torch.fake_quantize_per_tensor_affine(group, scale, torch.tensor(0, dtype=torch.int32), -steps, steps)
            torch.testing.assert_close(ours[start : start + QUANTIZATION_GROUP], theirs, rtol=0, atol=0)


def test_quantization_of_tiny_and_of_zero_weights() -> None:
    made = layer()
    made[0].weight.mul_(1e-12)
    made[0].weight[3] = 0
    found = Quantization(8).compress(made).network[0].weight
    torch.testing.assert_close(found, made[0].weight, rtol=0, atol=1e-13)
    assert not found[3].any()


@pytest.mark.parametrize("clusters", [2, 16, 64, 200])
def test_clustering_leaves_few_values_and_counts_their_bits(clusters: int) -> None:
    made = layer()
    compressed = Clustering(clusters).compress(made)
    found = compressed.network[0].weight
    assert len(found.unique()) <= clusters
    assert compressed.stored["0.weight:indices"].numel() == math.ceil(2400 * math.ceil(math.log2(clusters)) / 8)
    assert compressed.stored["0.weight:table"].dtype == torch.float32
    table = compressed.stored["0.weight:table"]
    assert torch.equal((made[0].weight[..., None] - table).abs().amin(-1), (made[0].weight - found).abs())


@pytest.mark.parametrize("percent", [1, 50, 83])
def test_pruning_is_torchs_global_magnitude_pruning(vit: nn.Module, percent: int) -> None:
    found = MagnitudePruning(percent).compress(vit).network
    modules = [m for m in vit.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    total = sum(m.weight.numel() for m in modules)
    prune.global_unstructured([(m, "weight") for m in modules], prune.L1Unstructured, amount=total * percent // 100)
    theirs = [m.weight for m in modules]
    ours = [m.weight for m in found.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_of_every_four_the_two_largest_stay() -> None:
    made = layer(inputs=16, outputs=8)
    made[0].weight[0] = torch.tensor([1.0, -4.0, 2.0, 3.0, 0.0, 0.0, -1.0, 0.5, 7.0, -8.0, 6.0, 5.0, 1.0, 2.0, 3.0, 4.0])
    compressed = TwoOfFourSparsity().compress(made)
    assert compressed.network[0].weight[0].tolist() == [0, -4, 0, 3, 0, 0, -1, 0.5, 7, -8, 0, 0, 0, 0, 3, 4]
    assert compressed.stored["0.weight:values"].numel() == 64
    assert compressed.stored["0.weight:places"].numel() == 16  # 64 places of two bits


def test_of_a_convolution_the_fours_are_input_channels() -> None:
    made = nn.Sequential(nn.Conv2d(16, 8, 3, bias=False)).requires_grad_(False)
    found = TwoOfFourSparsity().compress(made).network[0].weight
    assert ((found.reshape(8, 4, 4, 3, 3) != 0).sum(2) == 2).all()
    assert torch.equal(found[found != 0], made[0].weight[found != 0])


@pytest.mark.parametrize("made", [nn.Linear(16, 10), nn.Linear(24, 8), nn.Conv2d(3, 16, 4), nn.Conv2d(16, 16, 3, groups=16)])
def test_weights_that_tensor_cores_do_not_take_stay_whole(made: nn.Linear | nn.Conv2d) -> None:
    found = TwoOfFourSparsity().compress(nn.Sequential(made)).network[0]
    assert torch.equal(found.weight, made.weight)


def test_two_of_four_is_torchs_sparsifier() -> None:
    from torch.ao.pruning.sparsifier.weight_norm_sparsifier import WeightNormSparsifier

    made = layer(inputs=64, outputs=8)
    ours = TwoOfFourSparsity().compress(made).network[0].weight
    sparsifier = WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
    sparsifier.prepare(made, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    assert torch.equal(made[0].weight, ours)


@pytest.mark.parametrize("percent", [25, 50, 75])
def test_low_rank_is_the_nearest_of_its_rank(percent: int) -> None:
    made = layer(inputs=96, outputs=48)
    found = LowRankFactorization(percent).compress(made).network[0]
    assert isinstance(found, FactoredLinear)
    rank = len(found.down)
    assert found.up.numel() + found.down.numel() <= 96 * 48 * percent / 100 < (rank + 1) * (96 + 48)
    values = np.linalg.svd(made[0].weight.double().numpy(), compute_uv=False)
    error = (made[0].weight.double() - found.weight.double()).norm().item()
    assert error == pytest.approx(np.sqrt(np.square(values[rank:]).sum()), rel=1e-5)  # Eckart & Young
    given = torch.randn(5, 96)
    torch.testing.assert_close(found(given), nn.functional.linear(given, found.weight, made[0].bias))
    assert (found.in_features, found.out_features) == (96, 48)


def test_a_matrix_of_low_rank_loses_nothing() -> None:
    made = layer(inputs=96, outputs=48)
    made[0].weight = nn.Parameter(torch.outer(torch.randn(48), torch.randn(96)), requires_grad=False)
    torch.testing.assert_close(LowRankFactorization(25).compress(made).network[0].weight, made[0].weight, rtol=1e-4, atol=1e-5)


def test_low_rank_passes_thin_layers_by_and_tells_when_that_leaves_none(vit: nn.Module) -> None:
    found = LowRankFactorization(50).compress(vit).network
    assert type(found.head) is nn.Linear  # ten classes
    assert isinstance(found.blocks[0].attn.qkv, FactoredLinear)
    with pytest.raises(Unsupported, match="Sequential has no linear layer of 32 inputs and outputs or more"):
        LowRankFactorization(50).compress(layer(inputs=100, outputs=10))


def test_low_rank_leaves_the_layers_of_torchs_own_attention() -> None:
    network = nn.TransformerEncoderLayer(64, 2, 128).eval()
    found = LowRankFactorization(50).compress(network).network
    assert isinstance(found.linear1, FactoredLinear)
    assert isinstance(found.self_attn.out_proj, nn.Linear)


def test_half_rounds_to_bfloat16(vit: nn.Module) -> None:
    found = weights_of(HalfPrecision().compress(vit).network)
    for name, weight in weights_of(vit).items():
        assert torch.equal(found[name], weight.bfloat16().float())


def test_deit_small_sizes_by_hand() -> None:
    """64 clusters take 6 bits and a table for each of the weights, and everything else stays float32."""
    import timm

    network = timm.create_model("deit_small_patch16_224", num_classes=1000)
    compressed = Clustering(64).compress(network)
    weights = weights_of(network)
    rest = sum(p.numel() for name, p in network.named_parameters() if name not in weights)
    by_hand = sum(math.ceil(w.numel() * 6 / 8) + 64 * 4 for w in weights.values()) + 4 * rest
    assert 0 <= len(compressed.file) - by_hand < 60_000  # names and shapes in the header
    assert 4 * sum(p.numel() for p in network.parameters()) / len(compressed.file) == pytest.approx(5.19, abs=0.01)
