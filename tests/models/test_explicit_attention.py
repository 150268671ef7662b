"""Attention written out equals torch's fused operators, whatever their arguments."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from efficient360.models.view.explicit_attention import attend
from efficient360.models.view.recording import AttentionMap, recording


def tensors(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"scale": 0.3},
        {"is_causal": True},
        {"attn_mask": torch.ones(5, 6, dtype=torch.bool).tril(1)},
        {"attn_mask": torch.linspace(-2, 2, 30).view(5, 6)},
        {"enable_gqa": True},
    ],
)
def test_it_equals_fused_attention(arguments: dict[str, Any]) -> None:
    heads = 2 if arguments.get("enable_gqa") else 4
    q, k, v = tensors((2, 4, 5, 8), (2, heads, 6, 8), (2, heads, 6, 3))
    seen: list[Tensor] = []

    def see(probabilities: Tensor) -> Tensor:
        seen.append(probabilities)
        return probabilities

    torch.testing.assert_close(attend(q, k, v, **arguments, on_probabilities=see), functional.scaled_dot_product_attention(q, k, v, **arguments))
    torch.testing.assert_close(seen[0].sum(-1), torch.ones(2, 4, 5))


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("mask", [None, (5, 5), (8, 5, 5)])
def test_it_equals_multi_head_attention(separate: bool, batch_first: bool, mask: tuple[int, ...] | None) -> None:
    sides: dict[str, int] = {"kdim": 12, "vdim": 20} if separate else {}
    layer = nn.MultiheadAttention(16, 4, batch_first=batch_first, **sides).eval()
    nn.init.normal_(layer.out_proj.bias)
    shape = (2, 5) if batch_first else (5, 2)
    q, k, v = tensors((*shape, 16), (*shape, sides.get("kdim", 16)), (*shape, sides.get("vdim", 16)))
    arguments: dict[str, Any] = {"attn_mask": None if mask is None else torch.linspace(-1, 1, torch.Size(mask).numel()).view(mask)}
    expected, weights = layer(q, k, v, average_attn_weights=False, **arguments)
    seen: list[AttentionMap] = []
    with recording(layer, seen.append):
        output, none = layer(q, k, v, need_weights=False, **arguments)
        again, averaged = layer(q, k, v, **arguments)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(again, expected)
    assert none is None
    torch.testing.assert_close(averaged, weights.mean(1))
    assert len(seen) == 2
    torch.testing.assert_close(seen[0].probabilities, weights)


def test_padding_is_left_to_torch() -> None:
    layer = nn.MultiheadAttention(16, 4, batch_first=True).eval()
    (x,) = tensors((2, 5, 16))
    padded = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    seen: list[AttentionMap] = []
    with recording(layer, seen.append):
        output, _ = layer(x, x, x, key_padding_mask=padded)
    assert seen == []
    torch.testing.assert_close(output, layer(x, x, x, key_padding_mask=padded)[0])


class Softmaxes(nn.Module):
    """All ways to call a softmax, and some that are no attention."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.layer = nn.Parameter(torch.ones(1)), nn.Softmax(-1)

    def forward(self, scores: Tensor) -> list[Tensor]:
        over_keys = [torch.softmax(scores, -1), scores.softmax(dim=3), functional.softmax(scores, dim=-1), self.layer(scores), torch.special.softmax(scores, 3)]
        scores.softmax(2)
        scores[0, 0, 0].softmax(0)
        return over_keys


def test_every_softmax_over_keys_is_seen_once_and_no_other() -> None:
    (scores,) = tensors((2, 3, 4, 4))
    seen: list[AttentionMap] = []
    network = nn.Sequential(Softmaxes())
    with recording(network, seen.append):
        expected = network(scores)
    assert [made.layer for made in seen] == ["0"] * 5
    assert all(made.probabilities is one for made, one in zip(seen, expected, strict=True))


def test_what_is_returned_goes_on_in_place_of_the_probabilities() -> None:
    q, k, v = tensors((1, 1, 4, 2), (1, 1, 4, 2), (1, 1, 4, 2))

    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, value: Tensor) -> Tensor:
            return functional.scaled_dot_product_attention(q, k, value)

    network = Fused()
    with recording(network, lambda made: torch.eye(4).expand_as(made.probabilities)):
        assert torch.equal(network(v), v)


class Mixing(nn.Module):
    """Two softmaxes, mixed, through a dropout; ``talk`` mixes heads instead, after which rows do not sum to one."""

    def __init__(self, talk: bool) -> None:
        super().__init__()
        self.weight, self.drop, self.out, self.talk = nn.Parameter(torch.ones(1)), nn.Dropout(0.5), nn.Dropout(0.5), talk

    def forward(self, scores: Tensor) -> Tensor:
        attention = scores.softmax(-1)
        mixed = 2 * attention if self.talk else (attention + (-scores).softmax(-1)) / 2
        attended: Tensor = self.out(self.drop(mixed) @ scores)
        return attended


@pytest.mark.parametrize("talk", [False, True])
def test_the_dropout_of_a_layer_tells_what_its_softmaxes_became(talk: bool) -> None:
    (scores,) = tensors((2, 3, 4, 4))
    seen: list[AttentionMap] = []
    network = Mixing(talk).eval()
    with recording(network, seen.append):
        network(scores)
    expected = scores.softmax(-1) if talk else (scores.softmax(-1) + (-scores).softmax(-1)) / 2
    assert len(seen) == 1
    torch.testing.assert_close(seen[0].probabilities, expected)
