"""Localisation of annotated objects: the pointing game and relevance mass accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.regions import RegionCells, Regions


@final
@dataclass(frozen=True)
class AnnotatedObjects:
    """The annotated objects of a batch of images, on the grid.

    Args:
        annotated: Whether the image has any, bool ``(B,)``.
        fractions: Fraction of each cell's area that is object, float64 ``(B, cells)`` in [0, 1].
        centres: Whether each cell's centre is object, bool ``(B, cells)``.
    """

    annotated: Tensor
    fractions: Tensor
    centres: Tensor


def annotated_objects(regions: Regions, grid: Grid, ids: Sequence[str]) -> AnnotatedObjects:
    """The objects of the examples ``ids``.

    Raises:
        SettingsError: A region can't be read, or does not fit (``bad-regions``).
    """
    nothing = RegionCells(np.zeros(grid.cells), np.zeros(grid.cells, dtype=bool))
    cells = [regions[example].on_grid(grid) if example in regions else nothing for example in ids]
    fractions = torch.from_numpy(np.stack([entry.fractions for entry in cells]))
    return AnnotatedObjects(fractions.sum(1) > 0, fractions, torch.from_numpy(np.stack([entry.centres for entry in cells])))


def pointing_hits(attributions: Tensor, objects: AnnotatedObjects) -> Tensor:
    """Pointing game: whether the centre of each image's highest cell is object (Zhang et al. 2018), bool ``(B,)``; ``False`` without annotation.

    Args:
        attributions: ``(B, cells)``.
        objects: The objects of the same images.
    """
    return objects.centres.gather(1, attributions.argmax(1, keepdim=True).cpu())[:, 0]


def relevance_mass_accuracy(attributions: Tensor, objects: AnnotatedObjects) -> Tensor:
    """Fraction of the positive attributions inside the object, float64 ``(B,)`` in [0, 1]; 0 if no attribution is positive, or without annotation.

    Arras, Osman & Samek 2022; a cell's attribution is spread evenly over its pixels.

    Args:
        attributions: ``(B, cells)``.
        objects: The objects of the same images.
    """
    positive = attributions.double().cpu().clamp(min=0)
    total = positive.sum(1)
    return ((positive * objects.fractions).sum(1) / total.where(total > 0, 1)).clamp(0, 1)
