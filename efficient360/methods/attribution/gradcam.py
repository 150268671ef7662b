"""Grad-CAM on the grid of patch tokens."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question
from efficient360.methods.attribution.tokens import Tokens, probe, tokens_of
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class GradCam(Explainer):
    """Grad-CAM of the patch tokens as they enter the last block's attention: channels weighted by their mean gradient, positive part."""

    name: ClassVar[str] = "gradcam"
    title: ClassVar[str] = "Grad-CAM"
    source: ClassVar[str] = "Selvaraju et al. 2017, Grad-CAM, equations 1 and 2, with tokens for positions"

    def require(self, model: TorchModel) -> None:
        _entering(model, tokens_of(model), probe(model))

    def explain(self, model: TorchModel, grid: Grid, question: Question) -> Tensor:
        """Patches of the last block weighted by the mean gradient of their channels, positive parts only."""
        tokens = tokens_of(model)
        images = question.images.detach().clone().requires_grad_()
        with torch.enable_grad():
            outputs, hidden = _entering(model, tokens, images)
            gradient = torch.autograd.grad(outputs.gather(1, question.classes[:, None]).sum(), hidden)[0]
        weights = gradient[:, tokens.prefix :].mean(1, keepdim=True)  # (B, 1, D)
        return grid.collect(tokens.patches((hidden.detach() * weights).sum(2).clamp(min=0)).float())


def _entering(model: TorchModel, tokens: Tokens, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the normalised tokens ``(B, count, D)`` that the last block's attention takes in.

    Raises:
        Unsupported: The last block normalises no sequence of all tokens.
    """
    network: Any = model.network
    layer = getattr(network.blocks[-1], "norm1", None)
    found: list[Tensor] = []
    if isinstance(layer, nn.Module):
        hook = layer.register_forward_hook(lambda _module, _given, hidden: found.append(hidden))
        try:
            outputs = model(images)
        finally:
            hook.remove()
        if found and found[-1].ndim == 3 and found[-1].shape[1] == tokens.count:
            return outputs, found[-1]
    name = type(network).__name__
    raise Unsupported("no-tokens", f"the last block of {name} takes in no sequence of patch tokens", "use a plain vision transformer, or another explainer")
