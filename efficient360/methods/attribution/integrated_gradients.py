"""Integrated Gradients: the gradient along the way from the mean colour to the image, as many steps as it takes."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.methods.attribution.completeness import complete, logit_difference, mean_colour
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class IntegratedGradients(Explainer):
    """Integrated Gradients by captum, along the straight line from the network's mean colour, with Gauss-Legendre steps.

    An image whose values do not sum to the difference of logits within 5 % is done again with twice as many steps.

    Args:
        steps: Gradients an image, at least 1.
        doublings: How often the steps may be doubled.
    """

    name: ClassVar[str] = "integrated-gradients"
    title: ClassVar[str] = "Integrated Gradients"
    source: ClassVar[str] = "Sundararajan, Taly & Yan 2017, Axiomatic attribution for deep networks"
    completes: ClassVar[bool] = True
    steps: int = 50
    doublings: int = 2

    def require(self, model: TorchModel) -> None:
        return None

    def explain(self, model: TorchModel, grid: Grid, question: Question) -> Tensor:
        """The path integral, with more steps until it is complete or the doublings are used up."""
        wanted = logit_difference(model, question)
        found = self._attributed(model, grid, question, self.steps)
        for doubling in range(1, self.doublings + 1):
            done = complete(found, wanted)
            if bool(done.all()):
                break
            found = torch.where(done[:, None], found, self._attributed(model, grid, question, self.steps * 2**doubling))
        return found

    def _attributed(self, model: TorchModel, grid: Grid, question: Question, steps: int) -> Tensor:
        from captum.attr import IntegratedGradients as Captum  # imports matplotlib

        # As many images a pass as there are: captum then takes one step at a time, always in the same shape.
        values: Tensor = Captum(model.module).attribute(
            question.images,
            baselines=mean_colour(model, question.images),
            target=question.classes,
            n_steps=steps,
            method="gausslegendre",
            internal_batch_size=len(question),
        )
        return grid.collect(values.detach().float().sum(1))
