"""Attribution by gradients: gradient × input and Integrated Gradients, both by captum, and the completeness axiom."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod, target_logits
from efficient360.models.model import TorchModel

TOLERANCE = 0.05
"""Relative completeness error that is tolerated."""
ROUNDING = 1e-5
"""Absolute completeness error that is tolerated."""


def zero_input_baseline(model: TorchModel, images: Tensor) -> Tensor:
    """Images of the colour that the network's normalisation maps to zero, ``(B, 3, H, W)``."""
    return model.module.mean.expand_as(images).to(images.device)


def logit_difference(model: TorchModel, batch: AttributionBatch) -> Tensor:
    """Target logit of each image minus that of the zero-input baseline, float32 ``(B,)``."""
    return target_logits(model, batch) - target_logits(model, batch.with_images(zero_input_baseline(model, batch.images)))


def is_complete(attributions: Tensor, difference: Tensor) -> Tensor:
    """Whether attributions ``(B, cells)`` sum to ``difference`` ``(B,)`` within 5 %, bool ``(B,)`` (Sundararajan et al. 2017, proposition 1)."""
    return torch.as_tensor((attributions.double().sum(1) - difference.double()).abs() <= TOLERANCE * difference.double().abs() + ROUNDING)


@final
@dataclass(frozen=True)
class GradientXInput(AttributionMethod):
    """Gradient of the target logit times the network's normalised input, so the dataset's mean colour counts as zero."""

    name: ClassVar[str] = "gradient-x-input"
    title: ClassVar[str] = "Gradient × input"
    source: ClassVar[str] = "Shrikumar et al. 2016, Not just a black box"

    def require(self, model: TorchModel) -> None:
        return None

    def attribute(self, model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
        """Gradient times normalised pixel, summed over channels and over each cell."""
        from captum.attr import Saliency  # imports matplotlib

        images = batch.images.detach().clone().requires_grad_()
        gradient = Saliency(model.module).attribute(images, target=batch.targets, abs=False)
        # (d/d normalised) · normalised = (d/d pixel) · (pixel − mean): the standard deviation cancels
        return grid.sum_per_cell((gradient * (batch.images - model.module.mean)).sum(1))


@final
@dataclass(frozen=True)
class IntegratedGradients(AttributionMethod):
    """Integrated Gradients along the straight line from the zero-input baseline, with Gauss-Legendre steps.

    For images whose attributions don't sum to the difference of logits within 5 %, the number of steps is doubled.

    Args:
        steps: Gradients an image, at least 1.
        doublings: How many times the steps may be doubled.
    """

    name: ClassVar[str] = "integrated-gradients"
    title: ClassVar[str] = "Integrated Gradients"
    source: ClassVar[str] = "Sundararajan, Taly & Yan 2017, Axiomatic attribution for deep networks"
    satisfies_completeness: ClassVar[bool] = True
    steps: int = 50
    doublings: int = 2

    def require(self, model: TorchModel) -> None:
        return None

    def attribute(self, model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
        """The path integral, with more steps until it is complete or the doublings are used up."""
        difference = logit_difference(model, batch)
        attributions = self._integrate(model, grid, batch, self.steps)
        for doubling in range(1, self.doublings + 1):
            complete = is_complete(attributions, difference)
            if bool(complete.all()):
                break
            attributions = torch.where(complete[:, None], attributions, self._integrate(model, grid, batch, self.steps * 2**doubling))
        return attributions

    def _integrate(self, model: TorchModel, grid: Grid, batch: AttributionBatch, steps: int) -> Tensor:
        from captum.attr import IntegratedGradients as CaptumIntegratedGradients  # imports matplotlib

        # With an internal batch as large as ours captum takes one step at a time, always in the same shape.
        attributions: Tensor = CaptumIntegratedGradients(model.module).attribute(
            batch.images,
            baselines=zero_input_baseline(model, batch.images),
            target=batch.targets,
            n_steps=steps,
            method="gausslegendre",
            internal_batch_size=len(batch),
        )
        return grid.sum_per_cell(attributions.detach().float().sum(1))
