from typing import Any

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from efficient360.deployment.runtimes.graph_rewrites import FUSED, decompose_attention
from efficient360.errors import Unsupported

MASKS = ("none", "boolean", "added", "blind", "causal")


class Attention(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, query, key, value, *mask):
        return functional.scaled_dot_product_attention(query, key, value, *mask, **self.options)


def rewritten(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> nn.Module:
    program = torch.export.export(module, inputs)
    assert any(node.target is FUSED for node in program.graph.nodes)
    plain = decompose_attention(program)
    assert not any(node.target is FUSED for node in plain.graph.nodes)
    return plain


def mask_for(kind: str, queries: int, keys: int, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    if kind == "boolean":
        return (torch.rand(queries, keys, generator=generator) > 0.5,)
    if kind == "blind":  # no query sees anything
        return (torch.zeros(queries, keys, dtype=torch.bool),)
    return (torch.randn(2, 1, queries, keys, generator=generator),) if kind == "added" else ()


@settings(max_examples=25, deadline=None)
@given(
    groups=st.integers(1, 3),
    times=st.integers(1, 3),
    queries=st.integers(1, 6),
    keys=st.integers(1, 6),
    kind=st.sampled_from(MASKS),
    scale=st.sampled_from([None, 0.3, 2.0]),
)
def test_gives_what_the_fused_operator_gives(groups: int, times: int, queries: int, keys: int, kind: str, scale: float | None) -> None:
    generator = torch.Generator().manual_seed(groups + 7 * keys + 31 * queries)
    query = torch.randn(2, groups * times, queries, 8, generator=generator)
    key, value = (torch.randn(2, groups, keys, width, generator=generator) for width in (8, 5))
    inputs = (query, key, value, *mask_for(kind, queries, keys, generator))
    module = Attention(scale=scale, is_causal=kind == "causal", enable_gqa=times > 1)
    assert torch.allclose(rewritten(module, inputs)(*inputs), module(*inputs), atol=1e-5)


def test_keys_that_all_heads_share() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, heads, 6, 8, generator=generator) for heads in (4, 1, 1))
    inputs = (query, key, value)
    # By hand: every head by itself against the one key and value.
    heads = [torch.softmax(query[:, h] @ key[:, 0].mT / 8**0.5, -1) @ value[:, 0] for h in range(4)]
    assert torch.allclose(rewritten(Attention(), inputs)(*inputs), torch.stack(heads, 1), atol=1e-5)


def test_attention_in_three_dimensions() -> None:
    inputs = tuple(torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(3))
    assert torch.allclose(rewritten(Attention(), inputs)(*inputs), Attention()(*inputs), atol=1e-5)


def test_the_multi_query_attention_of_mobilenet_v4() -> None:
    torch.manual_seed(0)
    attention = timm.layers.MultiQueryAttention2d(16, num_heads=4, key_dim=8, value_dim=8, kv_stride=2).eval()
    images = (torch.randn(1, 16, 8, 8),)
    assert torch.allclose(rewritten(attention, images)(*images), attention(*images), atol=1e-5)


def test_a_vision_transformer_exports_again() -> None:
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=10).eval()
    images = (torch.rand(2, 3, 32, 32),)
    again = torch.export.export(rewritten(model, images), images).module()
    assert torch.allclose(again(*images), model(*images), atol=1e-5)


def test_attention_that_drops_at_random_is_refused() -> None:
    inputs = tuple(torch.randn(1, 2, 4, 8) for _ in range(3))
    with pytest.raises(Unsupported, match="an attention drops 10% of its weights at random") as told:
        decompose_attention(torch.export.export(Attention(dropout_p=0.1), inputs))
    assert told.value.code == "attention-dropout"
