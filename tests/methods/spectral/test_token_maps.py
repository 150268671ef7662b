"""Which tensors hold a map of tokens, and the maps that the blocks of real architectures output."""

from collections.abc import Sequence
from typing import Any

import pytest
import timm
import torch
from timm.models.metaformer import MetaFormer, Pooling
from torch import Tensor, nn

from efficient360.methods.spectral.token_maps import PREFIX_COUNTS, candidate_blocks, grid_of, record_blocks, split_tokens, token_map
from efficient360.models.view.protocol import ViTView


def shapes(network: nn.Module, side: int = 32) -> Sequence[tuple[str, tuple[int, ...]]]:
    images = torch.rand((2, 3, side, side), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), record_blocks(network.eval(), images, ViTView(), lambda tokens: tuple(tokens.shape[1:])) as seen:
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
    with torch.no_grad(), record_blocks(network, images, ViTView(), lambda tokens: tokens) as seen:
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
    assert [name for name, _ in candidate_blocks(stem)] == ["2"]


@pytest.mark.parametrize(
    ("count", "aspect", "grid"),
    [
        (196, 1.0, (14, 14)),
        (64, 1.0, (8, 8)),
        (195, 1.0, None),
        (50, 0.5, (5, 10)),
        (32, 2.0, (8, 4)),
        (12, 0.8, (3, 4)),
        (0, 1.0, None),
    ],
)
def test_tokens_that_cover_an_image(count: int, aspect: float, grid: tuple[int, int] | None) -> None:
    assert grid_of(count, aspect) == grid


@pytest.mark.parametrize(
    ("count", "prefixes", "expected"),
    [
        (197, PREFIX_COUNTS, (1, 14, 14)),
        (198, PREFIX_COUNTS, (2, 14, 14)),
        (201, (5, *PREFIX_COUNTS), (5, 14, 14)),
        (196, (1, *PREFIX_COUNTS), (0, 14, 14)),
        (1, PREFIX_COUNTS, None),
        (3, PREFIX_COUNTS, None),
    ],
)
def test_class_and_register_tokens_come_first(count: int, prefixes: tuple[int, ...], expected: tuple[int, int, int] | None) -> None:
    assert split_tokens(count, 1.0, prefixes) == expected


def test_a_sequence_loses_its_first_tokens_and_becomes_rows() -> None:
    tokens = torch.arange(2 * 5 * 3.0).view(2, 5, 3)
    found = token_map(tokens, 2, 1.0, PREFIX_COUNTS)
    assert found is not None
    assert torch.equal(found, tokens[:, 1:].reshape(2, 2, 2, 3))


def test_maps_with_channels_first_and_last_are_the_same_map() -> None:
    last = torch.rand(2, 4, 4, 7)
    for given in (last, last.permute(0, 3, 1, 2), [torch.zeros(2), last], (last, (4, 4))):
        found = token_map(given, 2, 1.0, PREFIX_COUNTS)
        assert found is not None
        assert torch.equal(found, last)


def test_a_wide_image_determines_the_layout() -> None:
    first = torch.rand(1, 4, 4, 8)  # 4 channels of 4 × 8 tokens
    found = token_map(first, 1, 0.5, PREFIX_COUNTS)
    assert found is not None
    assert found.shape == (1, 4, 8, 4)


@pytest.mark.parametrize(
    "given",
    [
        torch.rand(8, 16, 3),  # windows or pieces of two images
        torch.rand(2, 1, 16),  # a class token alone
        torch.rand(2, 16, 196, 5),  # blocks of tokens apart
        torch.rand(2, 10),
        torch.ones(2, 16, 3, dtype=torch.long),
        "tokens",
        None,
    ],
)
def test_other_outputs_are_no_map(given: object) -> None:
    assert token_map(given, 2, 1.0, PREFIX_COUNTS) is None
