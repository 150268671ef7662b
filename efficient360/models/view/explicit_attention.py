"""Attention written out, so that its probabilities exist as a tensor: what torch's fused operators compute."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

OnProbabilities = Callable[[Tensor], Tensor]
"""Called with probabilities ``(…, queries, keys)``; what it returns is used in their place."""


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    on_probabilities: OnProbabilities,
) -> Tensor:
    """:func:`torch.nn.functional.scaled_dot_product_attention` with its arguments, ``softmax(q kᵀ · scale + mask) v``.

    Args:
        query: ``(…, heads, queries, d)``.
        key: ``(…, heads, keys, d)``.
        value: ``(…, heads, keys, e)``.
        attn_mask: Boolean, true where a query may look, or numbers that are added.
        dropout_p: Probability with which probabilities are zeroed.
        is_causal: Whether a query looks at earlier keys only.
        scale: Of the products; ``1/√d`` where ``None``.
        enable_gqa: Whether several heads of queries share one of keys and values.
        on_probabilities: Sees, and may replace, the probabilities ``(…, heads, queries, keys)``.
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, float("-inf")) if attn_mask.dtype == torch.bool else scores + attn_mask
    probabilities = on_probabilities(scores.softmax(-1))
    if dropout_p:
        probabilities = functional.dropout(probabilities, dropout_p)
    return probabilities @ value


@cache
def _signature() -> inspect.Signature:
    return inspect.signature(functional.multi_head_attention_forward)


def attend_in_heads(args: tuple[Any, ...], kwargs: dict[str, Any], on_probabilities: OnProbabilities) -> tuple[Tensor, Tensor | None] | None:
    """:func:`torch.nn.functional.multi_head_attention_forward`, which :class:`torch.nn.MultiheadAttention` calls, with its arguments.

    Returns:
        Its outputs ``(queries, B, D)`` and, where they were asked for, the weights; ``None`` for what no vision transformer asks for (padding, biases or zeros
        appended to the keys, given keys, an input without a batch), which is left to torch.
    """
    given = _signature().bind(*args, **kwargs)
    given.apply_defaults()
    a: dict[str, Any] = given.arguments
    unusual = ("bias_k", "bias_v", "key_padding_mask", "static_k", "static_v")
    if a["query"].ndim != 3 or a["add_zero_attn"] or any(a[name] is not None for name in unusual):
        return None
    heads, biases = a["num_heads"], (None,) * 3 if a["in_proj_bias"] is None else a["in_proj_bias"].chunk(3)
    weights = (a["q_proj_weight"], a["k_proj_weight"], a["v_proj_weight"]) if a["use_separate_proj_weight"] else a["in_proj_weight"].chunk(3)
    inputs = (a["query"], a["key"], a["value"])
    query, key, value = (_in_heads(functional.linear(x, w, b), heads) for x, w, b in zip(inputs, weights, biases, strict=True))
    mask = a["attn_mask"]
    if mask is not None and mask.ndim == 3:
        mask = mask.view(-1, heads, *mask.shape[1:])
    seen: list[Tensor] = []

    def keep(probabilities: Tensor) -> Tensor:
        seen.append(on_probabilities(probabilities))
        return seen[0]

    mixed = attend(query, key, value, mask, a["dropout_p"] if a["training"] else 0.0, on_probabilities=keep)
    joined = mixed.permute(2, 0, 1, 3).flatten(2)
    output = functional.linear(joined, a["out_proj_weight"], a["out_proj_bias"])
    if not a["need_weights"]:
        return output, None
    return output, seen[0].mean(1) if a["average_attn_weights"] else seen[0]


def _in_heads(tokens: Tensor, heads: int) -> Tensor:
    """``(B, heads, N, d)`` of ``(N, B, D)``."""
    return tokens.reshape(*tokens.shape[:2], heads, -1).permute(1, 2, 0, 3)
