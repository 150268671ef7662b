"""Gradient × input: the linear model that touches the network at the image."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class GradientInput(Explainer):
    """Gradient of the logit times the input as the network sees it: normalised, so that the mean colour is zero."""

    name: ClassVar[str] = "gradient-x-input"
    title: ClassVar[str] = "Gradient × input"
    source: ClassVar[str] = "Shrikumar et al. 2016, Not just a black box"

    def require(self, model: TorchModel) -> None:
        return None

    def explain(self, model: TorchModel, grid: Grid, question: Question) -> Tensor:
        """Gradient times the normalised pixel, summed over the channels and over each cell."""
        images = question.images.detach().clone().requires_grad_()
        with torch.enable_grad():
            chosen = model(images).gather(1, question.classes[:, None])
            gradient = torch.autograd.grad(chosen.sum(), images)[0]
        # (d/d normalised) · normalised = (d/d pixel) · (pixel − mean): the deviation cancels
        return grid.collect((gradient * (question.images - model.module.mean)).sum(1))
