"""Grad-CAM on the grid of patch tokens."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported
from efficient360.methods.attribution.grid import Grid, TokenLayout, token_layout
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod
from efficient360.models.model import TorchModel


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
        weights = gradient[:, tokens.prefix :].mean(1, keepdim=True)  # (B, 1, D)
        return grid.sum_per_cell(tokens.patches((hidden.detach() * weights).sum(2).clamp(min=0)).float())


def _last_block_inputs(model: TorchModel, tokens: TokenLayout, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the normalised tokens ``(B, count, D)`` that enter the last block's attention.

    Raises:
        Unsupported: The last block has no norm over the sequence of all tokens.
    """
    network: Any = model.network
    layer = getattr(network.blocks[-1], "norm1", None)
    outputs: list[Tensor] = []
    if isinstance(layer, nn.Module):
        hook = layer.register_forward_hook(lambda _module, _inputs, hidden: outputs.append(hidden))
        try:
            logits = model(images)
        finally:
            hook.remove()
        if outputs and outputs[-1].ndim == 3 and outputs[-1].shape[1] == tokens.count:
            return logits, outputs[-1]
    message = f"the last block of {type(network).__name__} takes no sequence of patch tokens"
    raise Unsupported("no-tokens", message, "use a plain vision transformer, or another attribution method")
