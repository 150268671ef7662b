"""Which matrices of a network are attention between its tokens, and what is measured of them."""

import math

import pytest
import timm
import torch
from torch import Tensor, nn

from efficient360.methods.attribution.attention import capture_attention
from efficient360.methods.spectral.attention_layers import LayerAttention, attention_watched
from efficient360.methods.spectral.attention_table import DISTANCE, ENTROPY, RESPONSE, AttentionTable, layers_of, rows_of


class Given(nn.Module):
    """A layer whose attention is given: it sees tokens and passes the matrix through ``attn_drop``."""

    def __init__(self, attention: Tensor, **named: object) -> None:
        super().__init__()
        self.attention, self.attn_drop = attention, nn.Dropout(0.0)
        for name, value in named.items():
            setattr(self, name, value)

    def forward(self, tokens: Tensor) -> Tensor:
        self.attn_drop(self.attention)
        return tokens


class Network(nn.Module):
    def __init__(self, layer: nn.Module, prefix: int = 0) -> None:
        super().__init__()
        self.layer, self.num_prefix_tokens = layer, prefix


def seen(attention: Tensor, tokens: Tensor, batch: int, prefix: int = 0, side: int = 8, **named: object) -> list[LayerAttention]:
    network = Network(Given(attention, **named), prefix)
    with attention_watched(network, torch.zeros(batch, 3, side, side), lambda: None) as found:
        network.layer(tokens)
    assert not network.layer.attn_drop._forward_hooks
    return found


def uniform(*shape: int) -> Tensor:
    return torch.full(shape, 1 / shape[-1])


UNIFORM_2X2 = (0.5 + 0.5 + math.sqrt(0.5)) / 4


def test_uniform_attention_behind_a_class_token() -> None:
    (found,) = seen(uniform(2, 3, 5, 5), torch.zeros(2, 5, 6), 2, prefix=1)
    torch.testing.assert_close(found.entropy, torch.ones(2, 3, dtype=torch.float64))
    assert found.response.abs().max() < 1e-7
    assert found.distance is not None
    torch.testing.assert_close(found.distance, torch.full((2, 3), UNIFORM_2X2, dtype=torch.float64))


def test_patches_alone_are_asked_how_far_and_how_evenly_they_look() -> None:
    attention = torch.eye(5).expand(1, 1, 5, 5).clone()
    attention[0, 0, 0] = 0.2  # the class token looks at all alike
    (found,) = seen(attention, torch.zeros(1, 5, 6), 1, prefix=1)
    assert found.entropy.item() == 0
    assert found.distance is not None
    assert found.distance.item() == 0


def test_windows_count_with_their_size_within_the_image() -> None:
    # a map of 4 × 4 tokens in four windows of 2 × 2, two images
    (found,) = seen(uniform(8, 3, 4, 4), torch.zeros(8, 4, 6), 2, window_size=(2, 2))
    assert found.distance is not None
    torch.testing.assert_close(found.distance, torch.full((2, 3), UNIFORM_2X2 / 2, dtype=torch.float64))


def test_windows_of_unknown_places_have_no_distance() -> None:
    (found,) = seen(uniform(8, 3, 4, 4), torch.zeros(8, 4, 6), 2)
    assert found.distance is None
    assert found.entropy.shape == (2, 3)


@pytest.mark.parametrize("shape", [(2, 4, 3, 4, 4), (2, 3, 4, 4, 4)])
def test_windows_apart_from_the_batch_stand_before_or_after_the_heads(shape: tuple[int, ...]) -> None:
    (found,) = seen(uniform(*shape), torch.zeros(2, 4, 4, 6), 2, num_heads=3)
    assert found.entropy.shape == (2, 3)


def test_reduced_keys() -> None:
    (found,) = seen(uniform(1, 2, 16, 4), torch.zeros(1, 16, 6), 1)
    assert found.entropy.flatten().tolist() == pytest.approx([1, 1])
    assert found.distance is not None
    pairs = [math.hypot((r + 0.5) / 4 - (i + 0.5) / 2, (c + 0.5) / 4 - (j + 0.5) / 2) for r in range(4) for c in range(4) for i in range(2) for j in range(2)]
    assert found.distance[0].tolist() == pytest.approx([sum(pairs) / 64] * 2)


@pytest.mark.parametrize(
    ("attention", "tokens"),
    [
        (uniform(2, 3, 8, 8), torch.zeros(2, 16, 24)),  # over channels
        (uniform(2, 3, 1, 16), torch.zeros(2, 16, 24)),  # a class token alone
        (torch.ones(2, 3, 16, 16), torch.zeros(2, 16, 24)),  # rows that don't sum to 1
        (uniform(2, 16, 16), torch.zeros(2, 16, 24)),
    ],
)
def test_what_is_no_attention_between_tokens(attention: Tensor, tokens: Tensor) -> None:
    assert seen(attention, tokens, 2) == []


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
        with capture_attention(network) as held, attention_watched(network, images, held.clear) as found:
            watched = network(images)
        q, k, _ = network.blocks[1].attn.qkv(inputs[0]).reshape(3, 17, 3, 2, 16).permute(2, 0, 3, 1, 4)
    torch.testing.assert_close(watched, plain, atol=1e-4, rtol=1e-4)
    assert held == []
    assert [layer.name for layer in found] == ["blocks.0.attn", "blocks.1.attn"]
    attention = (q @ k.mT / 4).softmax(-1).double()
    expected = -(attention * attention.log()).sum(-1)[:, :, 1:].mean(-1) / math.log(17)
    torch.testing.assert_close(found[1].entropy, expected, atol=1e-5, rtol=1e-5)
    gain = (attention - attention.mean(2, keepdim=True)).norm(dim=(2, 3)) / 4
    torch.testing.assert_close(found[1].response, gain, atol=1e-5, rtol=1e-5)


def test_rows_hold_every_layer_and_head_and_give_them_back() -> None:
    def layer(name: str, heads: int, start: float, placed: bool) -> LayerAttention:
        values = torch.arange(2.0 * heads).view(2, heads).double() + start
        return LayerAttention(name, values, values + 100, values + 200 if placed else None)

    found = [layer("a", 2, 0, True), layer("b", 3, 50, False)]
    table = AttentionTable(layers_of(found), rows_of(found))
    assert table.rows.shape == (2, 12)
    assert [(number, values.tolist()) for number, values in table.of(DISTANCE)] == [(1, [[200, 201], [202, 203]])]
    assert table.of(RESPONSE)[1][1].tolist() == [[150, 151, 152], [153, 154, 155]]
    assert table.by_image(ENTROPY).tolist() == [(0.5 + 51) / 2, (2.5 + 54) / 2]
    assert AttentionTable(layers_of(found[1:]), rows_of(found[1:])).by_image(DISTANCE).tolist() == []
