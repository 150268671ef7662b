"""Occlusion, and the baseline images that take the place of occluded cells: the image's mean colour, or the image blurred."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod
from efficient360.models.model import TorchModel

BLUR = 1 / 8
"""Standard deviation of the blur as a fraction of the image's side: only broad patches of colour remain."""


def mean_colour(images: Tensor) -> Tensor:
    """Each image's own mean colour everywhere, ``(B, 3, H, W)``."""
    return images.mean((2, 3), keepdim=True).expand_as(images)


def blurred(images: Tensor) -> Tensor:
    """Each image after a Gaussian blur with σ = 1/8 of its side, ``(B, 3, H, W)``; weights are renormalised at the border."""
    height, width = images.shape[2:]
    return _gaussian(height, images) @ images @ _gaussian(width, images).T


def _gaussian(side: int, like: Tensor) -> Tensor:
    """Row ``i`` holds the weights of pixel ``i``, ``(side, side)``; each row sums to 1."""
    position = torch.arange(side, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((position[:, None] - position[None]) / (BLUR * side)) ** 2)
    return (weights / weights.sum(1, keepdim=True)).to(like)


BASELINES: Mapping[str, Callable[[Tensor], Tensor]] = {"mean": mean_colour, "blur": blurred}
"""Baseline images by name."""


@final
@dataclass(frozen=True)
class Occlusion(AttributionMethod):
    """Drop of the target logit when a cell is replaced by the image's mean colour, cell by cell: as many forward passes as there are cells."""

    name: ClassVar[str] = "occlusion"
    title: ClassVar[str] = "Occlusion"
    source: ClassVar[str] = "Zeiler & Fergus 2014, Visualizing and understanding convolutional networks"

    def require(self, model: TorchModel) -> None:
        return None

    def attribute(self, model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
        from captum.attr import FeatureAblation  # imports matplotlib

        cells = grid.to_pixels(torch.arange(grid.cells, device=batch.images.device)[None])
        drops: Tensor = FeatureAblation(model.module).attribute(batch.images, mean_colour(batch.images), batch.targets, feature_mask=cells)
        return drops[:, 0, :: grid.height // grid.rows, :: grid.width // grid.columns].flatten(1)  # captum repeats a cell's drop over its pixels
