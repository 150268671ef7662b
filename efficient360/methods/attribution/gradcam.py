"""Grad-CAM on the grid of patch tokens."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.errors import Unsupported
from efficient360.methods.attribution.grid import Grid, token_layout
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod
from efficient360.models.model import TorchModel
from efficient360.models.view.calls import tapped
from efficient360.models.view.layout import TokenLayout
from efficient360.models.view.protocol import HOW_TO_STATE


@final
@dataclass(frozen=True)
class GradCam(AttributionMethod):
    """Grad-CAM of the patch tokens that enter the last block's attention: channels weighted by their mean gradient, positive part.

    Captum's ``LayerGradCam`` takes the embedding dimension of tokens for space, so its map is wrong here.
    """

    name: ClassVar[str] = "gradcam"
    title: ClassVar[str] = "Grad-CAM"
    source: ClassVar[str] = "Selvaraju et al. 2017, Grad-CAM, equations 1 and 2, with tokens as positions"

    def require(self, model: TorchModel) -> None:
        _last_block_inputs(model, token_layout(model), torch.full((1, *model.input_size), 0.5, device=model.device))

    def attribute(self, model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
        tokens = token_layout(model)
        images = batch.images.detach().clone().requires_grad_()
        with torch.enable_grad():
            logits, hidden = _last_block_inputs(model, tokens, images)
            gradient = torch.autograd.grad(logits.gather(1, batch.targets[:, None]).sum(), hidden)[0]
        # Over the tokens as a sequence: its batch need not come first.
        values, slopes = _sequence(tokens, hidden.detach()), tokens.patches(_sequence(tokens, gradient))
        weights = slopes.flatten(1, 2).mean(1)[:, None, None]  # (B, 1, 1, D)
        return grid.sum_per_cell((tokens.patches(values) * weights).sum(3).clamp(min=0).float())


def _last_block_inputs(model: TorchModel, tokens: TokenLayout, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the normalised tokens that enter the first weights of the last block's attention, batch first or not as in the network.

    Raises:
        Unsupported: What enters them is no sequence of all tokens.
    """
    outputs: list[Tensor] = []
    with tapped(model.network, model.view.places.attended[-1:], lambda _index, hidden: outputs.append(hidden)):
        logits = model(images)
    if outputs and tokens.tokens(outputs[-1]) is not None:
        return logits, outputs[-1]
    message = f"the attention of the last block of {type(model.network).__name__} takes no sequence of patch tokens"
    raise Unsupported("no-tokens", message, f"use a plain vision transformer, or another attribution method; {HOW_TO_STATE}")


def _sequence(tokens: TokenLayout, hidden: Tensor) -> Tensor:
    """``(B, count, D)`` of what is known to be one."""
    sequence = tokens.tokens(hidden)
    assert sequence is not None
    return sequence
