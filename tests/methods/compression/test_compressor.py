import copy
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from efficient360.errors import Unsupported
from efficient360.methods.compression.compressor import encode_weights, uncompressed_bytes, weights_of
from efficient360.methods.compression.pruning import TwoOfFourSparsity
from efficient360.methods.compression.variants import LADDER, parse


def test_the_weights_are_those_of_layers_each_once(vit: nn.Module) -> None:
    weights = weights_of(vit)
    assert set(weights) == {name for name, p in vit.named_parameters() if name.endswith("weight") and p.ndim > 1}
    assert {"pos_embed", "cls_token", "norm.weight"}.isdisjoint(weights)
    assert "patch_embed.proj.weight" in weights
    assert sum(p.numel() for p in weights.values()) / sum(p.numel() for p in vit.parameters()) > 0.9


def test_attention_of_torchs_own_and_tied_layers() -> None:
    attention = nn.MultiheadAttention(8, 2)
    assert set(weights_of(attention)) == {"in_proj_weight", "out_proj.weight"}
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    tied = nn.Sequential(first, second)
    assert set(weights_of(tied)) == {"0.weight"}
    assert uncompressed_bytes(tied) < uncompressed_bytes(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))


def test_a_network_without_layers_is_told() -> None:
    with pytest.raises(Unsupported, match="Identity has no linear layer or convolution"):
        weights_of(nn.Identity())


def test_a_code_that_keeps_everything_changes_nothing(vit: nn.Module, images: torch.Tensor) -> None:
    kept = encode_weights(vit, TwoOfFourSparsity(), lambda weight: {"float32": weight})
    torch.testing.assert_close(kept.network(images), vit(images), rtol=0, atol=0)


@pytest.mark.parametrize("variant", LADDER)
def test_the_original_is_left_alone(vit: nn.Module, variant: str) -> None:
    before = copy.deepcopy(vit.state_dict())
    compressed = parse(variant).compress(vit)
    after = vit.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert compressed.network is not vit


@pytest.mark.parametrize("variant", LADDER)
def test_the_bytes_are_those_of_the_file(vit: nn.Module, variant: str, tmp_path: Path) -> None:
    compressed = parse(variant).compress(vit)
    stored = {name: tensor.contiguous() for name, tensor in compressed.stored.items()}
    safetensors.torch.save_file(stored, tmp_path / "packed.safetensors", dict(compressed.metadata) or None)
    assert len(compressed.file) == (tmp_path / "packed.safetensors").stat().st_size
    assert compressed.rebuilt == variant.startswith(("low_rank", "token_merging"))


@pytest.mark.parametrize("variant", ["half", "two_of_four", *(v for v in LADDER if v.startswith(("quantization", "clustering")))])
def test_coding_again_changes_nothing_more(vit: nn.Module, variant: str) -> None:
    once = parse(variant).compress(vit).network
    twice = parse(variant).compress(once).network
    for name, weight in weights_of(once).items():
        torch.testing.assert_close(weights_of(twice)[name], weight, rtol=0.01, atol=1e-6)
