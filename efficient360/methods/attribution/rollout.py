"""Attention rollout: attention multiplied from layer to layer, half of each token passed on as it is."""

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
class AttentionRollout(Explainer):
    """Attention rollout from the patches to what the classifier reads; the same for every class."""

    name: ClassVar[str] = "attention-rollout"
    title: ClassVar[str] = "Attention rollout"
    source: ClassVar[str] = "Abnar & Zuidema 2020, Quantifying attention flow in transformers"

    def require(self, model: TorchModel) -> None:
        require_attention(model)

    def explain(self, model: TorchModel, grid: Grid, question: Question) -> Tensor:
        tokens = tokens_of(model)
        with torch.no_grad(), captured(model.network) as found:
            model(question.images)
        maps = attention_maps(found, tokens, len(question), type(model.network).__name__)
        return grid.collect(tokens.read(rollout([attention.mean(1) for attention in maps])).float())


def rollout(attentions: Sequence[Tensor]) -> Tensor:
    """Flow from the first layer's tokens to the last's, ``(B, N, N)``, rows summing to 1.

    Args:
        attentions: Attention of each layer averaged over heads, ``(B, N, N)``, rows summing to 1, the first layer first.
    """
    same = torch.eye(attentions[0].shape[-1]).to(attentions[0])
    flow = same.expand_as(attentions[0])
    for attention in attentions:
        flow = (0.5 * attention + 0.5 * same) @ flow
    return flow
