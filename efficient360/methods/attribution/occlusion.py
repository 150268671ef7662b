"""Occlusion: how far the logit falls when a cell is covered."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.methods.attribution.blanks import mean
from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question, logits
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class Occlusion(Explainer):
    """Fall of the logit when one cell is painted in the image's own mean colour, each in turn: as many passes as there are cells."""

    name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Occlusion"
    source: ClassVar[str] = "Zeiler & Fergus 2014, Visualizing and understanding convolutional networks"

    def require(self, model: TorchModel) -> None:
        return None

    def explain(self, model: TorchModel, grid: Grid, question: Question) -> Tensor:
        whole, blank = logits(model, question), mean(question.images)
        one = torch.eye(grid.cells, device=question.images.device)
        covered = [torch.where(grid.spread(one[cell : cell + 1]) > 0, blank, question.images) for cell in range(grid.cells)]
        return torch.stack([whole - logits(model, question.about(images)) for images in covered], 1)
