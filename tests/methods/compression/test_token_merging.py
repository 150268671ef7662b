from typing import Any

import pytest
import timm
import torch
from torch import nn

from efficient360.errors import Unsupported
from efficient360.methods.complexity.mac_count import count_macs
from efficient360.methods.compression.token_merging import TokenMerging
from efficient360.models.structure.merging_blocks import MergingBlocks, bipartite_soft_matching


def test_the_most_alike_are_matched_by_hand() -> None:
    # Even places 0, 2, 4 look at odd places 1, 3: 0 is like 3 (cosine 1), 2 is somewhat like 1, 4 is like nothing.
    keys = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [2.0, 0.0], [-1.0, -1.0]]])
    first = bipartite_soft_matching(keys, 1)
    assert (first.remaining, first.destinations.tolist()) == (4, [[3, 2, 0, 3, 1]])
    both = bipartite_soft_matching(keys, 2)
    assert (both.remaining, both.destinations.tolist()) == (3, [[2, 1, 1, 2, 0]])
    sums = both.merge(torch.arange(5.0).reshape(1, 5, 1))
    assert sums.flatten().tolist() == [4, 1 + 2, 0 + 3]


def test_no_more_than_half_go() -> None:
    assert bipartite_soft_matching(torch.randn(1, 5, 3), 4).remaining == 3


@pytest.mark.parametrize("count_of", [2, 3, 8, 9])
def test_every_token_goes_somewhere_and_nothing_is_lost(count_of: int) -> None:
    tokens = torch.randn(3, count_of, 4)
    for gone in range(1, count_of // 2 + 1):
        matching = bipartite_soft_matching(tokens, gone)
        assert sorted(set(matching.destinations[0].tolist())) == list(range(matching.remaining))
        torch.testing.assert_close(matching.merge(tokens).sum(1), tokens.sum(1))


def test_with_nothing_to_merge_the_blocks_are_timms(vit: nn.Module, images: torch.Tensor) -> None:
    merging = TokenMerging(1).compress(vit)  # 1 % of 16 patches is none
    assert isinstance(merging.network.blocks, MergingBlocks)
    torch.testing.assert_close(merging.network(images), vit(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{}, {"global_pool": "avg", "class_token": False, "fc_norm": True}, {"reg_tokens": 2, "qk_norm": True, "init_values": 0.1}]
)
def test_merging_tokens_that_are_the_same_changes_nothing(settings: dict[str, Any], images: torch.Tensor) -> None:
    """With proportional attention a token that stands for two of the same computes what the two did (Bolya et al. 2023, section 3.1)."""
    torch.manual_seed(0)
    network = timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=2, num_classes=10, pos_embed="none", **settings
    ).eval()
    patches = images[:, :, :, :8].repeat(1, 1, 1, 4)  # every row is one patch four times
    merged = TokenMerging(50).compress(network).network
    with torch.inference_mode():
        torch.testing.assert_close(merged(patches), network(patches), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(merged(images), network(images), rtol=1e-4, atol=1e-4)


def test_fewer_tokens_are_computed_with(vit: nn.Module, images: torch.Tensor) -> None:
    macs = [count_macs(TokenMerging(percent).compress(vit).network, images[:1]) for percent in (25, 50, 75)]
    assert all(not counted.uncounted for counted in macs)
    assert count_macs(vit, images[:1]).macs > macs[0].macs > macs[1].macs > macs[2].macs


def test_an_image_is_merged_alike_whatever_stands_beside_it(vit: nn.Module, images: torch.Tensor) -> None:
    merged = TokenMerging(50).compress(vit).network
    torch.testing.assert_close(merged(images)[2:3], merged(images[2:3]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["swin_tiny_patch4_window7_224", "resnet18", "levit_128s"])
def test_other_networks_are_told(architecture: str) -> None:
    with pytest.raises(Unsupported, match="is no plain vision transformer") as error:
        TokenMerging(20).compress(timm.create_model(architecture))
    assert error.value.hint == "choose another compressor"
