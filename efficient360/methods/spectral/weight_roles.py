"""The role of each weight in a vision transformer (query, key, value, projection, MLP …), and fused projections split into their roles and heads."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

import torch
from torch import Tensor, nn

from efficient360.models.view.protocol import ViTView


@final
class WeightRole(StrEnum):
    """What a weight does in the network."""

    QUERY = "q"
    KEY = "k"
    VALUE = "v"
    PROJECTION = "proj"
    MLP = "mlp"
    EMBEDDING = "embedding"
    CONVOLUTION = "convolution"
    FILTER = "Fourier filter"
    CLASSIFIER = "classifier"
    OTHER = "other"


ROLE_NAMES: Final = {
    WeightRole.QUERY: ("q", "query", "q_proj", "to_q", "wq"),
    WeightRole.KEY: ("k", "key", "k_proj", "to_k", "wk"),
    WeightRole.VALUE: ("v", "value", "v_proj", "to_v", "wv"),
    WeightRole.PROJECTION: ("proj", "out_proj", "attn_out_proj", "o_proj", "to_out", "proj_out"),
    WeightRole.MLP: (
        "mlp",
        "ffn",
        "fc1",
        "fc2",
        "fc1_g",
        "fc1_x",
        "mlp_out_proj",
        "intermediate",
        "w1",
        "w2",
        "w3",
        "w12",
        "up_proj",
        "down_proj",
        "gate_proj",
        "mlp_tokens",
        "mlp_channels",
    ),
    WeightRole.EMBEDDING: ("patch_embed", "patch_embeddings", "stem", "conv_stem"),
    WeightRole.CLASSIFIER: ("head", "head_dist", "classifier", "fc"),
}
"""Components of dotted module names that reveal the role, as used by timm, Hugging Face transformers and their predecessors."""

_ROLES: Final = {name: role for role, names in ROLE_NAMES.items() for name in names}

QKV: Final = (WeightRole.QUERY, WeightRole.KEY, WeightRole.VALUE)
FUSED: Final = {
    "qkv": QKV,
    "qkv_proj": QKV,
    "qkvs": QKV,
    "to_qkv": QKV,
    "in_proj": QKV,
    "in_proj_weight": QKV,
    "kv": (WeightRole.KEY, WeightRole.VALUE),
    "to_kv": (WeightRole.KEY, WeightRole.VALUE),
    "kv_proj": (WeightRole.KEY, WeightRole.VALUE),
    "qk": (WeightRole.QUERY, WeightRole.KEY),
}
"""Roles fused in one weight, in order, by the name of its module or parameter."""
_HEAD_COUNTS: Final = ("num_heads", "heads", "num_attention_heads")


def role_of(name: str) -> WeightRole:
    """The role of a module by its dotted name: the last component that reveals one; stems and classifiers are recognised by earlier components.

    ``blocks.3.attn.proj`` → proj; ``patch_embed.proj`` → embedding; ``stages.0.attn.q.ln.linear`` → q.
    """
    components = name.split(".")
    if any(_ROLES.get(component) is WeightRole.EMBEDDING for component in components):
        return WeightRole.EMBEDDING
    for index in range(len(components) - 1, -1, -1):
        if components[index] == "output":  # transformers: attention.output.dense, and output.dense of the MLP
            return WeightRole.PROJECTION if "attention" in components[:index] else WeightRole.MLP
        role = _ROLES.get(components[index])
        if role is not None and (role is not WeightRole.CLASSIFIER or index == 0):
            return role
    return WeightRole.OTHER


@final
@dataclass(frozen=True)
class ProjectionRows:
    """The rows of a fused weight that have one role.

    Args:
        role: What they do.
        rows: Row indices, int64 ``(heads, rows per head)``.
    """

    role: WeightRole
    rows: Tensor


def stated_heads(attention: nn.Module) -> int | None:
    """Number of heads of an attention module; ``None`` where it has no such attribute."""
    return next((n for name in _HEAD_COUNTS if isinstance(n := getattr(attention, name, None), int) and n > 0), None)


def head_count(attention: nn.Module) -> int:
    """Number of heads of an attention module; 1 where it has no such attribute."""
    return stated_heads(attention) or 1


def structural_role(network: nn.Module, view: ViTView, name: str) -> WeightRole:
    """The role of a linear layer by where it lies: head, patch embedding, or one of two layers outside a block's attention that widen and narrow."""
    if name == view.head:
        return WeightRole.CLASSIFIER
    if name == view.embedding:
        return WeightRole.EMBEDDING
    block = next((block for block in view.blocks if name.startswith(f"{block}.")), None)
    layer = network.get_submodule(name)
    if block is None or not isinstance(layer, nn.Linear):
        return WeightRole.OTHER
    inside = [f"{part}." for part in view.attention]
    outside = [m for n, m in network.get_submodule(block).named_modules() if isinstance(m, nn.Linear) and not f"{block}.{n}".startswith(tuple(inside))]
    mirrored = any((m.in_features, m.out_features) == (layer.out_features, layer.in_features) for m in outside if m is not layer)
    return WeightRole.MLP if mirrored and not name.startswith(tuple(inside)) else WeightRole.OTHER


def split_fused(attention: nn.Module, name: str, rows: int) -> Sequence[ProjectionRows]:
    """Split a fused weight into its roles and heads.

    timm uses two layouts: all queries, then all keys, then all values, with heads inside each (ViT, Swin, BEiT, XCiT, EVA …); and head by head, with
    queries, keys and values inside each (LeViT, TinyViT, EfficientFormer, CoAtNet and efficientvit_mit). The attention module's own attributes decide which,
    and give the sizes where they differ (MobileViTv2, SHViT, efficientvit_msra, parallel blocks that fuse the MLP as well).

    Args:
        attention: The attention module.
        name: Name of the fused weight in it, one of :data:`FUSED`.
        rows: Number of rows of the weight.

    Returns:
        The roles in order of the rows; empty if the rows do not add up, in which case the weight should not be split.
    """
    roles, heads = FUSED[name], head_count(attention)
    if split := getattr(attention, "in_split", None):
        return _role_major((WeightRole.MLP, *QKV)[-len(split) :], split, heads, rows)
    if len(roles) == 3 and getattr(attention, "use_global", False):
        roles = roles[1:]  # GCViT's queries come from elsewhere
    if (per_head := _rows_per_head(attention, roles)) is not None:
        return _head_major(roles, per_head, rows // sum(per_head), rows)
    sizes = _rows_per_role(attention, roles) or [rows // len(roles)] * len(roles)
    if getattr(attention, "head_first", False):
        return _head_major(roles, [size // heads for size in sizes], heads, rows)
    return _role_major(roles, sizes, heads, rows)


def _rows_per_head(attention: nn.Module, roles: Sequence[WeightRole]) -> list[int] | None:
    """Rows of one head's query, key and value, for modules that store them head by head."""
    key, value = getattr(attention, "key_dim", None), getattr(attention, "val_dim", None)
    if isinstance(key, int) and isinstance(value, int):
        return [value if role is WeightRole.VALUE else key for role in roles]
    if type(attention).__name__ == "LiteMLA" and isinstance(dim := getattr(attention, "dim", None), int):
        return [dim] * len(roles)
    return None


def _rows_per_role(attention: nn.Module, roles: Sequence[WeightRole]) -> list[int] | None:
    """Rows of all queries, keys and values, for modules in which they differ."""
    narrow, wide = getattr(attention, "qk_dim", None), getattr(attention, "pdim", None)
    if isinstance(narrow, int) and isinstance(wide, int):  # SHViT
        return [wide if role is WeightRole.VALUE else narrow for role in roles]
    if type(attention).__name__ == "LinearSelfAttention" and isinstance(width := getattr(attention, "embed_dim", None), int):
        return [1 if role is WeightRole.QUERY else width for role in roles]  # MobileViTv2
    return None


def _role_major(roles: Sequence[WeightRole], sizes: Sequence[int], heads: int, rows: int) -> list[ProjectionRows]:
    if sum(sizes) != rows:
        return []
    ends = torch.tensor(list(sizes)).cumsum(0).tolist()
    return [
        ProjectionRows(role, torch.arange(end - size, end).view(heads if size % heads == 0 and role is not WeightRole.MLP else 1, -1))
        for role, size, end in zip(roles, sizes, ends, strict=True)
    ]


def _head_major(roles: Sequence[WeightRole], sizes: Sequence[int], heads: int, rows: int) -> list[ProjectionRows]:
    if heads * sum(sizes) != rows:
        return []
    indices = torch.split(torch.arange(rows).view(heads, -1), list(sizes), dim=1)
    return [ProjectionRows(role, index) for role, index in zip(roles, indices, strict=True)]
