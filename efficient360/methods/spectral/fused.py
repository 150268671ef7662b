"""Fused projections taken apart: which rows of one weight are queries, keys and values, and of which head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn

from efficient360.methods.spectral.kinds import Kind

QKV: Final = (Kind.QUERY, Kind.KEY, Kind.VALUE)
FUSED: Final = {
    "qkv": QKV,
    "qkv_proj": QKV,
    "qkvs": QKV,
    "to_qkv": QKV,
    "in_proj": QKV,
    "in_proj_weight": QKV,
    "kv": (Kind.KEY, Kind.VALUE),
    "to_kv": (Kind.KEY, Kind.VALUE),
    "kv_proj": (Kind.KEY, Kind.VALUE),
    "qk": (Kind.QUERY, Kind.KEY),
}
"""What stands in a fused weight, in order, by the name of its module or parameter."""
HEADS: Final = ("num_heads", "heads", "num_attention_heads")


@final
@dataclass(frozen=True)
class Part:
    """Some rows of a weight.

    Args:
        kind: What they do.
        rows: int64 ``(heads, rows of a head)``.
    """

    kind: Kind
    rows: Tensor


def heads_of(owner: nn.Module) -> int:
    """Heads of an attention module; 1 where it names none."""
    return next((n for name in HEADS if isinstance(n := getattr(owner, name, None), int) and n > 0), 1)


def parts_of(owner: nn.Module, name: str, rows: int) -> Sequence[Part]:
    """How a fused weight splits.

    timm knows two layouts: all queries, then all keys, then all values, heads within each (ViT, Swin, BEiT, XCiT, EVA …); and head by head, with
    queries, keys and values within each (LeViT, TinyViT, EfficientFormer, CoAtNet and efficientvit_mit). The attention module's own attributes tell which,
    and where the sizes differ (MobileViTv2, SHViT, efficientvit_msra, parallel blocks that fuse the MLP as well).

    Args:
        owner: The attention module.
        name: Name of the fused weight in it, one of :data:`FUSED`.
        rows: Rows of the weight.

    Returns:
        The parts in order of the rows; empty where the rows do not add up, so that the weight is best left whole.
    """
    kinds, heads = FUSED[name], heads_of(owner)
    if split := getattr(owner, "in_split", None):
        return _part_by_part((Kind.MLP, *QKV)[-len(split) :], split, heads, rows)
    if len(kinds) == 3 and getattr(owner, "use_global", False):
        kinds = kinds[1:]  # GCViT's queries come from elsewhere
    if (inner := _head_sizes(owner, kinds)) is not None:
        return _head_by_head(kinds, inner, rows // sum(inner), rows)
    sizes = _sizes(owner, kinds) or [rows // len(kinds)] * len(kinds)
    if getattr(owner, "head_first", False):
        return _head_by_head(kinds, [size // heads for size in sizes], heads, rows)
    return _part_by_part(kinds, sizes, heads, rows)


def _head_sizes(owner: nn.Module, kinds: Sequence[Kind]) -> list[int] | None:
    """Rows of a head's query, key and value where the module keeps them head by head."""
    key, value = getattr(owner, "key_dim", None), getattr(owner, "val_dim", None)
    if isinstance(key, int) and isinstance(value, int):
        return [value if kind is Kind.VALUE else key for kind in kinds]
    if type(owner).__name__ == "LiteMLA" and isinstance(dim := getattr(owner, "dim", None), int):
        return [dim] * len(kinds)
    return None


def _sizes(owner: nn.Module, kinds: Sequence[Kind]) -> list[int] | None:
    """Rows of all queries, keys and values where they differ."""
    narrow, wide = getattr(owner, "qk_dim", None), getattr(owner, "pdim", None)
    if isinstance(narrow, int) and isinstance(wide, int):  # SHViT
        return [wide if kind is Kind.VALUE else narrow for kind in kinds]
    if type(owner).__name__ == "LinearSelfAttention" and isinstance(width := getattr(owner, "embed_dim", None), int):
        return [1 if kind is Kind.QUERY else width for kind in kinds]  # MobileViTv2
    return None


def _part_by_part(kinds: Sequence[Kind], sizes: Sequence[int], heads: int, rows: int) -> list[Part]:
    if sum(sizes) != rows:
        return []
    ends = torch.tensor(list(sizes)).cumsum(0).tolist()
    return [
        Part(kind, torch.arange(end - size, end).view(heads if size % heads == 0 and kind is not Kind.MLP else 1, -1))
        for kind, size, end in zip(kinds, sizes, ends, strict=True)
    ]


def _head_by_head(kinds: Sequence[Kind], sizes: Sequence[int], heads: int, rows: int) -> list[Part]:
    if heads * sum(sizes) != rows:
        return []
    places = torch.split(torch.arange(rows).view(heads, -1), list(sizes), dim=1)
    return [Part(kind, place) for kind, place in zip(kinds, places, strict=True)]
