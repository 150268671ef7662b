"""The random explainer: the floor that every other one is held against."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.attribution.explainer import Explainer
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class Chance(Explainer):
    """A uniform draw for each cell, from the seed and the example's id: it knows neither the image nor the model."""

    name: ClassVar[str] = "random"
    title: ClassVar[str] = "Random"
    source: ClassVar[str] = "Petsiuk, Das & Saenko 2018 (the order that a saliency map is compared with)"

    def require(self, model: TorchModel) -> None:
        return None

    def explain(self, model: TorchModel, grid: Grid, question: Question) -> Tensor:
        drawn = np.stack([rng.random(grid.cells, dtype=np.float32) for rng in question.generators(self.name)])
        return torch.from_numpy(drawn).to(question.images.device)
