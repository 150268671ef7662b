"""Roles by module name; and fused projections: zeroing a head's queries or keys changes that head's attention and no other, its values change none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from timm.layers.attention import Attention
from timm.models import efficientvit_mit, levit, maxxvit, mobilevit, pvt_v2, shvit, swin_transformer, tiny_vit, xcit
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from efficient360.methods.spectral.weight_roles import WeightRole, head_count, role_of, split_fused

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
    module: Any = case.build()
    module.eval()  # LeViT's returns nothing
    if hasattr(module, "fused_attn"):
        module.fused_attn = False
    layer = module.get_submodule(case.weight)
    with torch.no_grad():
        layer.weight.normal_()
    before = attention(case, module)
    projections = split_fused(module, case.fused, len(layer.weight))
    assert sorted(torch.cat([projection.rows.flatten() for projection in projections]).tolist()) == list(range(len(layer.weight)))
    for projection in projections:
        for head, rows in enumerate(projection.rows):
            kept = layer.weight.detach().clone()
            with torch.no_grad():
                layer.weight[rows] = 0
            after = attention(case, module)
            with torch.no_grad():
                layer.weight.copy_(kept)
            moved = (
                (after - before).abs().amax(tuple(a for a in range(before.ndim) if a != 1)) > 1e-6
                if len(projection.rows) > 1
                else (after != before).any()[None]
            )
            expected = [projection.role is not WeightRole.VALUE and h == head for h in range(len(projection.rows))]
            if case.name == "mobilevitv2":  # its softmax is over the one query channel
                expected = [projection.role is WeightRole.QUERY]
            assert moved.tolist() == expected, (projection.role, head)


def test_torch_multihead_attention() -> None:
    module = nn.MultiheadAttention(16, 2, batch_first=True).eval()
    before = module(TOKENS, TOKENS, TOKENS, average_attn_weights=False)[1]
    query = split_fused(module, "in_proj_weight", 48)[0]
    with torch.no_grad():
        module.in_proj_weight[query.rows[1]] = 0
    after = module(TOKENS, TOKENS, TOKENS, average_attn_weights=False)[1]
    assert (after - before).abs().amax((0, 2, 3)).gt(1e-6).tolist() == [False, True]


def test_multi_scale_linear_attention_is_stored_head_by_head() -> None:
    module = efficientvit_mit.LiteMLA(16, 16, dim=8)
    key = split_fused(module, "qkv", 3 * 16)[1]
    assert key.rows.tolist() == [list(range(8, 16)), list(range(32, 40))]


def test_a_parallel_block_fuses_the_mlp_as_well() -> None:
    module: Any = nn.Module()
    module.in_split, module.num_heads = [32, 8, 8, 8], 2
    projections = split_fused(module, "in_proj", 56)
    assert [(projection.role, tuple(projection.rows.shape)) for projection in projections] == [("mlp", (1, 32)), ("q", (2, 4)), ("k", (2, 4)), ("v", (2, 4))]


def test_rows_that_do_not_add_up_are_not_split() -> None:
    module: Any = nn.Module()
    assert head_count(module) == 1
    assert split_fused(module, "qkv", 10) == []
    module.key_dim = module.val_dim = 4
    assert split_fused(module, "qkv", 10) == []


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("blocks.3.attn.proj", WeightRole.PROJECTION),
        ("blocks.3.mlp.fc1", WeightRole.MLP),
        ("patch_embed.proj", WeightRole.EMBEDDING),
        ("stem.conv1.linear", WeightRole.EMBEDDING),
        ("stages.0.blocks.1.attn.q.ln.linear", WeightRole.QUERY),
        ("vit.encoder.layer.0.attention.attention.key", WeightRole.KEY),
        ("vit.encoder.layer.0.attention.output.dense", WeightRole.PROJECTION),
        ("vit.encoder.layer.0.output.dense", WeightRole.MLP),
        ("vit.encoder.layer.0.intermediate.dense", WeightRole.MLP),
        ("head", WeightRole.CLASSIFIER),
        ("head.fc", WeightRole.CLASSIFIER),
        ("layers.1.downsample.reduction", WeightRole.OTHER),
    ],
)
def test_roles_by_module_name(name: str, role: WeightRole) -> None:
    assert role_of(name) is role
