"""Relevance of tokens after Chefer, Gur and Wolf: attention weighted by its gradient, accumulated from layer to layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.methods.attribution.attention import attention_maps, captured, require_attention
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question
from efficient360.methods.attribution.tokens import tokens_of
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class TokenRelevance(Explainer):
    """Relevance for the class by the rule for self-attention: positive part of attention times its gradient, averaged over heads."""

    name: ClassVar[str] = "chefer"
    title: ClassVar[str] = "Chefer relevance"
    source: ClassVar[str] = "Chefer, Gur & Wolf 2021, Generic attention-model explainability, equations 5 and 6"

    def require(self, model: TorchModel) -> None:
        require_attention(model)

    def explain(self, model: TorchModel, grid: Grid, question: Question) -> Tensor:
        """Attention maps weighted by their gradients, layer upon layer."""
        tokens = tokens_of(model)
        images = question.images.detach().clone().requires_grad_()
        with torch.enable_grad(), captured(model.network) as found:
            chosen = model(images).gather(1, question.classes[:, None])
            maps = attention_maps(found, tokens, len(question), type(model.network).__name__)
            # A layer that the logit no longer passes through has no say.
            gradients = torch.autograd.grad(chosen.sum(), maps, allow_unused=True, materialize_grads=True)
        flows = [(attention.detach() * gradient).clamp(min=0).mean(1) for attention, gradient in zip(maps, gradients, strict=True)]
        return grid.collect(tokens.read(relevance(flows)).float())


def relevance(flows: Sequence[Tensor]) -> Tensor:
    """Relevance of each token of the first layer for each of the last, ``(B, N, N)``.

    Args:
        flows: Positive part of attention times gradient, averaged over heads, ``(B, N, N)``, the first layer first.
    """
    found = torch.eye(flows[0].shape[-1]).to(flows[0]).expand_as(flows[0])
    for flow in flows:
        found = found + flow @ found
    return found
