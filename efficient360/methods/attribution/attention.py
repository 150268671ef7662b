"""Attribution by attention maps: attention rollout and Chefer relevance."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported
from efficient360.methods.attribution.grid import Grid, token_layout
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod
from efficient360.models.model import TorchModel
from efficient360.models.view.layout import TokenLayout
from efficient360.models.view.protocol import HOW_TO_STATE
from efficient360.models.view.recording import AttentionMap, recording


@contextmanager
def capture_attention(network: nn.Module, named: Sequence[str] = ()) -> Iterator[list[Tensor]]:
    """Collect the attention maps of every forward pass in the ``with`` block, layer by layer, each ``(B, heads, tokens, tokens)`` or ``(B · heads, …)``.

    Args:
        network: Whatever library it is from; fused attention, which never materialises its maps, is computed step by step within the block.
        named: Modules whose output is a map, where the network states them.
    """
    maps: list[Tensor] = []

    def collect(made: AttentionMap) -> None:
        maps.append(made.probabilities)

    with recording(network, collect, named):
        yield maps


def _global_maps(maps: Sequence[Tensor], tokens: TokenLayout, size: int, network: str) -> list[Tensor]:
    """Those of the captured maps in which every token attends to every token, ``(B, heads, tokens, tokens)`` or ``(B · heads, tokens, tokens)``.

    Raises:
        Unsupported: There is none: attention within windows, over channels or over reduced tokens does not connect patches to the classifier.
    """
    square = (tokens.count, tokens.count)
    kept = [m for m in maps if m.shape[-2:] == square and ((m.ndim == 4 and m.shape[0] == size) or (m.ndim == 3 and m.shape[0] % size == 0))]
    if not kept:
        message = f"{network} has no global self-attention over all of its tokens"
        raise Unsupported("no-attention", message, "use a plain vision transformer, or another attribution method")
    return kept


def _over_heads(attention: Tensor, size: int) -> Tensor:
    """Mean over heads, ``(B, tokens, tokens)``."""
    return attention.reshape(size, -1, *attention.shape[-2:]).mean(1)


def _require_attention(model: TorchModel) -> None:
    """Run a grey image through the network to see its attention maps.

    Raises:
        Unsupported: The network has no patch tokens, or no global self-attention.
    """
    name = type(model.network).__name__
    if model.view.embedding and not model.view.attention:
        raise Unsupported("no-attention", f"{name}: {model.view.missing['attention']}", f"use another attribution method; {HOW_TO_STATE}")
    tokens = token_layout(model)
    with torch.no_grad(), capture_attention(model.network, model.view.probabilities) as maps:
        model(torch.full((1, *model.input_size), 0.5, device=model.device))
    _global_maps(maps, tokens, 1, name)


@final
@dataclass(frozen=True)
class AttentionRollout(AttributionMethod):
    """Attention rollout from the patches to what the classifier reads; the same for every class."""

    name: ClassVar[str] = "attention-rollout"
    title: ClassVar[str] = "Attention rollout"
    source: ClassVar[str] = "Abnar & Zuidema 2020, Quantifying attention flow in transformers"

    def require(self, model: TorchModel) -> None:
        _require_attention(model)

    def attribute(self, model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
        tokens = token_layout(model)
        with torch.no_grad(), capture_attention(model.network, model.view.probabilities) as captured:
            model(batch.images)
        maps = _global_maps(captured, tokens, len(batch), type(model.network).__name__)
        return grid.sum_per_cell(tokens.pooled_relevance(rollout([_over_heads(attention, len(batch)) for attention in maps])).float())


def rollout(attentions: Sequence[Tensor]) -> Tensor:
    """Attention flow from the first layer's tokens to the last layer's, ``(B, N, N)``, rows summing to 1; the residual connections are weighted one half.

    Args:
        attentions: Attention of each layer averaged over heads, ``(B, N, N)``, rows summing to 1, the first layer first.
    """
    identity = torch.eye(attentions[0].shape[-1]).to(attentions[0])
    flow = identity.expand_as(attentions[0])
    for attention in attentions:
        flow = (0.5 * attention + 0.5 * identity) @ flow
    return flow


@final
@dataclass(frozen=True)
class CheferRelevance(AttributionMethod):
    """Class-specific relevance by the rule for self-attention: positive part of attention times its gradient, averaged over heads."""

    name: ClassVar[str] = "chefer"
    title: ClassVar[str] = "Chefer relevance"
    source: ClassVar[str] = "Chefer, Gur & Wolf 2021, Generic attention-model explainability, equations 5 and 6"

    def require(self, model: TorchModel) -> None:
        _require_attention(model)

    def attribute(self, model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
        tokens = token_layout(model)
        images = batch.images.detach().clone().requires_grad_()
        with torch.enable_grad(), capture_attention(model.network, model.view.probabilities) as captured:
            logits = model(images).gather(1, batch.targets[:, None])
            maps = _global_maps(captured, tokens, len(batch), type(model.network).__name__)
            # A layer that the logit does not depend on has a gradient of zero.
            gradients = torch.autograd.grad(logits.sum(), maps, allow_unused=True, materialize_grads=True)
        weighted = [_over_heads((attention.detach() * gradient).clamp(min=0), len(batch)) for attention, gradient in zip(maps, gradients, strict=True)]
        return grid.sum_per_cell(tokens.pooled_relevance(accumulated_relevance(weighted)).float())


def accumulated_relevance(weighted: Sequence[Tensor]) -> Tensor:
    """Relevance of each of the first layer's tokens for each of the last layer's, ``(B, N, N)``.

    Args:
        weighted: Positive part of attention times gradient, averaged over heads, ``(B, N, N)``, the first layer first.
    """
    relevance = torch.eye(weighted[0].shape[-1]).to(weighted[0]).expand_as(weighted[0])
    for layer in weighted:
        relevance = relevance + layer @ relevance
    return relevance
