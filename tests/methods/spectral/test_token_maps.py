"""The maps of tokens of real architectures' blocks: which they are, and that class tokens stay out."""

from collections.abc import Sequence
from typing import Any

import timm
import torch
from timm.models.metaformer import MetaFormer, Pooling
from torch import Tensor, nn

from efficient360.methods.spectral.token_maps import blocks_of, blocks_watched


def shapes(network: nn.Module, side: int = 32) -> Sequence[tuple[str, tuple[int, ...]]]:
    images = torch.rand((2, 3, side, side), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), blocks_watched(network.eval(), images, lambda tokens: tuple(tokens.shape[1:])) as seen:
        network(images)
    assert not any(module._forward_hooks for module in network.modules())
    return seen


def made(name: str, **arguments: Any) -> nn.Module:
    with torch.random.fork_rng():
        return timm.create_model(name, num_classes=3, **arguments)


def test_a_vision_transformer_gives_its_patches_and_not_its_class_token() -> None:
    network = made("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, reg_tokens=3)
    images = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    outputs: list[Tensor] = []
    network.eval().blocks[1].register_forward_hook(lambda _module, _given, output: outputs.append(output))
    with torch.no_grad(), blocks_watched(network, images, lambda tokens: tokens) as seen:
        network(images)
    assert [name for name, _ in seen] == ["blocks.0", "blocks.1"]
    assert torch.equal(seen[1][1].flatten(1, 2), outputs[0][:, 4:])


def test_a_hierarchy_with_channels_last_gives_maps_that_shrink() -> None:
    network = made("swin_tiny_patch4_window7_224", img_size=64, embed_dim=24, depths=(2, 1), num_heads=(1, 2), window_size=4)
    assert shapes(network, 64) == [
        ("layers.0.blocks.0", (16, 16, 24)),
        ("layers.0.blocks.1", (16, 16, 24)),
        ("layers.1.blocks.0", (8, 8, 48)),
    ]


def test_a_hierarchy_with_channels_first() -> None:
    assert shapes(MetaFormer(depths=(1, 1), dims=(8, 16), token_mixers=Pooling)) == [
        ("stages.0.blocks.0", (8, 8, 8)),
        ("stages.1.blocks.0", (4, 4, 16)),
    ]


def test_pieces_of_patches_are_measured_as_the_whole_that_holds_them() -> None:
    found = shapes(made("mobilevit_xxs"), 128)
    assert ("stages.2.1", (16, 16, 48)) in found
    assert not any("transformer" in name for name, _ in found)
    assert not any(name == "stages.2" for name, _ in found)


def test_a_layer_norm_or_a_single_convolution_is_no_block() -> None:
    stem = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.LayerNorm(4), nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)))
    assert [name for name, _ in blocks_of(stem)] == ["2"]
