"""Zeroing a head's rows of the queries or keys moves that head's attention and no other; the values' rows move none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from timm.layers.attention import Attention
from timm.models import efficientvit_mit, levit, maxxvit, mobilevit, pvt_v2, shvit, swin_transformer, tiny_vit, xcit
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from efficient360.methods.spectral.fused import heads_of, parts_of
from efficient360.methods.spectral.kinds import Kind

TOKENS = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
MAPS = TOKENS.transpose(1, 2).reshape(2, 16, 4, 4)


class Softmaxes(TorchDispatchMode):
    """Collects what softmax puts out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._softmax.default:
            self.found.append(out)
        return out


@dataclass(frozen=True)
class Case:
    name: str
    build: Callable[[], nn.Module]
    call: Callable[[Any], Any]
    fused: str = "qkv"
    weight: str = "qkv"


CASES = [
    Case("vit", lambda: Attention(16, num_heads=2), lambda m: m(TOKENS)),
    Case("swin", lambda: swin_transformer.WindowAttention(16, num_heads=4, window_size=(4, 4)), lambda m: m(TOKENS)),
    Case("xcit", lambda: xcit.XCA(16, num_heads=2), lambda m: m(TOKENS)),
    Case("levit", lambda: levit.Attention(16, 4, num_heads=2, attn_ratio=2.0, resolution=(4, 4)), lambda m: m(TOKENS), weight="qkv.linear"),
    Case("tiny_vit", lambda: tiny_vit.Attention(16, 4, num_heads=2, attn_ratio=3, resolution=(4, 4)), lambda m: m(TOKENS)),
    Case("coatnet", lambda: maxxvit.AttentionCl(16, dim_head=4, head_first=True), lambda m: m(TOKENS.view(2, 4, 4, 16))),
    Case("maxvit", lambda: maxxvit.AttentionCl(16, dim_head=4, head_first=False), lambda m: m(TOKENS.view(2, 4, 4, 16))),
    Case("pvt", lambda: pvt_v2.Attention(16, num_heads=2, sr_ratio=1), lambda m: m(TOKENS, (4, 4)), fused="kv", weight="kv"),
    Case("mobilevitv2", lambda: mobilevit.LinearSelfAttention(16), lambda m: m(MAPS), fused="qkv_proj", weight="qkv_proj"),
    Case("shvit", lambda: shvit.SHSA(16, 4, 8), lambda m: m(MAPS), weight="qkv.c"),
]


def attention(case: Case, module: nn.Module) -> Tensor:
    with torch.no_grad(), Softmaxes() as seen:
        case.call(module)
    return seen.found[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_head_has_its_rows(case: Case) -> None:
    torch.manual_seed(0)
    module = case.build()
    module.eval()  # LeViT's returns nothing
    if hasattr(module, "fused_attn"):
        module.fused_attn = False
    layer = module.get_submodule(case.weight)
    with torch.no_grad():
        layer.weight.normal_()
    before = attention(case, module)
    parts = parts_of(module, case.fused, len(layer.weight))
    assert sorted(torch.cat([part.rows.flatten() for part in parts]).tolist()) == list(range(len(layer.weight)))
    for part in parts:
        for head, rows in enumerate(part.rows):
            kept = layer.weight.detach().clone()
            with torch.no_grad():
                layer.weight[rows] = 0
            after = attention(case, module)
            with torch.no_grad():
                layer.weight.copy_(kept)
            moved = (after - before).abs().amax(tuple(a for a in range(before.ndim) if a != 1)) > 1e-6 if len(part.rows) > 1 else (after != before).any()[None]
            expected = [part.kind is not Kind.VALUE and h == head for h in range(len(part.rows))]
            if case.name == "mobilevitv2":  # its softmax is over the one query channel
                expected = [part.kind is Kind.QUERY]
            assert moved.tolist() == expected, (part.kind, head)


def test_torch_multihead_attention() -> None:
    module = nn.MultiheadAttention(16, 2, batch_first=True).eval()
    before = module(TOKENS, TOKENS, TOKENS, average_attn_weights=False)[1]
    query = parts_of(module, "in_proj_weight", 48)[0]
    with torch.no_grad():
        module.in_proj_weight[query.rows[1]] = 0
    after = module(TOKENS, TOKENS, TOKENS, average_attn_weights=False)[1]
    assert (after - before).abs().amax((0, 2, 3)).gt(1e-6).tolist() == [False, True]


def test_linear_attention_over_several_scales_is_told_head_by_head() -> None:
    module = efficientvit_mit.LiteMLA(16, 16, dim=8)
    key = parts_of(module, "qkv", 3 * 16)[1]
    assert key.rows.tolist() == [list(range(8, 16)), list(range(32, 40))]


def test_a_parallel_block_holds_the_mlp_as_well() -> None:
    module = nn.Module()
    module.in_split, module.num_heads = [32, 8, 8, 8], 2
    parts = parts_of(module, "in_proj", 56)
    assert [(part.kind, tuple(part.rows.shape)) for part in parts] == [("mlp", (1, 32)), ("q", (2, 4)), ("k", (2, 4)), ("v", (2, 4))]


def test_rows_that_do_not_add_up_are_left_whole() -> None:
    module = nn.Module()
    assert heads_of(module) == 1
    assert parts_of(module, "qkv", 10) == []
    module.key_dim = module.val_dim = 4
    assert parts_of(module, "qkv", 10) == []
