"""Attention maps of a vision transformer, with the graph that leads from the pixels to the logits through them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported
from efficient360.methods.attribution.tokens import Tokens, probe, tokens_of
from efficient360.models.model import TorchModel


@contextmanager
def captured(network: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the attention maps of every pass within, in the order of the layers, each ``(B, heads, tokens, tokens)``.

    A fused attention never writes its map down. So the plain one is switched on within, and whatever stood before is put back, come what may.
    """
    found: list[Tensor] = []
    layers: Sequence[Any] = [m for m in network.modules() if hasattr(m, "fused_attn") and isinstance(getattr(m, "attn_drop", None), nn.Module)]
    before = [layer.fused_attn for layer in layers]
    hooks = [layer.attn_drop.register_forward_hook(lambda _module, _given, attention: found.append(attention)) for layer in layers]
    try:
        for layer in layers:
            layer.fused_attn = False
        yield found
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer.fused_attn = was
        for hook in hooks:
            hook.remove()


def attention_maps(found: Sequence[Tensor], tokens: Tokens, size: int, network: str) -> list[Tensor]:
    """Those of the captured maps that lead from every token to every token, ``(B, heads, tokens, tokens)``.

    Raises:
        Unsupported: There is none: attention within windows, over channels or over reduced tokens shows no flow from patch to class.
    """
    whole = [attention for attention in found if attention.ndim == 4 and (attention.shape[0], *attention.shape[2:]) == (size, tokens.count, tokens.count)]
    if not whole:
        raise Unsupported("no-attention", f"{network} shows no attention between all of its tokens", "use a plain vision transformer, or another explainer")
    return whole


def require_attention(model: TorchModel) -> None:
    """Ask before any work is done.

    Raises:
        Unsupported: The network has no tokens, or no attention between all of them.
    """
    tokens = tokens_of(model)
    with torch.no_grad(), captured(model.network) as found:
        model(probe(model))
    attention_maps(found, tokens, 1, type(model.network).__name__)
