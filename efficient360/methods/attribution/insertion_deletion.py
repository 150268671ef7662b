"""Insertion and deletion curves: probability of the target class as cells are inserted or deleted, highest attribution first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.method import AttributionBatch, target_probabilities
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class CurveEndpoints:
    """Start and end of both curves, the same for every attribution method.

    Args:
        baseline: Baseline images, all cells deleted, ``(B, 3, H, W)``.
        image_probability: Probability of the target class on the image, ``(B,)``.
        baseline_probability: Probability of the target class on the baseline, ``(B,)``.
    """

    baseline: Tensor
    image_probability: Tensor
    baseline_probability: Tensor


@final
@dataclass(frozen=True)
class Curves:
    """Probability of the target class with a fraction of the cells inserted into the baseline, and deleted from the image.

    Args:
        fractions: Fractions of the cells, from 0 to 1.
        insertion: ``(B, fractions)``.
        deletion: ``(B, fractions)``.
    """

    fractions: tuple[float, ...]
    insertion: Tensor
    deletion: Tensor


def rank_cells(attributions: Tensor, batch: AttributionBatch) -> Tensor:
    """Rank of each cell, int64 ``(B, cells)``: 0 for the highest attribution; ties are broken at random, seeded by the example's id."""
    cells = attributions.shape[1]
    shuffled = torch.from_numpy(np.stack([rng.permutation(cells) for rng in batch.generators("ties")])).to(attributions.device)
    order = shuffled.gather(1, attributions.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))
    return torch.empty_like(order).scatter_(1, order, torch.arange(cells, device=attributions.device).expand_as(order))


def cell_counts(cells: int, points: int) -> list[int]:
    """Number of inserted or deleted cells after each of ``points`` steps from 0 to all, without duplicates."""
    return sorted({round(cells * point / points) for point in range(points + 1)})


def insertion_deletion_curves(
    model: TorchModel, grid: Grid, batch: AttributionBatch, ranks: Tensor, endpoints: CurveEndpoints, counts: Sequence[int]
) -> Curves:
    """Both curves of every image.

    Args:
        model: The model.
        grid: The cells.
        batch: Images and their target classes.
        ranks: Rank of each cell, int64 ``(B, cells)``.
        endpoints: Start and end of the curves.
        counts: Inserted or deleted cells at each point, from 0 to all.
    """
    insertion, deletion = [endpoints.baseline_probability], [endpoints.image_probability]
    for count in counts[1:-1]:
        chosen = grid.to_pixels(ranks < count)
        insertion.append(target_probabilities(model, batch.with_images(torch.where(chosen, batch.images, endpoints.baseline))))
        deletion.append(target_probabilities(model, batch.with_images(torch.where(chosen, endpoints.baseline, batch.images))))
    fractions = tuple(count / grid.cells for count in counts)
    return Curves(fractions, torch.stack([*insertion, endpoints.image_probability], 1), torch.stack([*deletion, endpoints.baseline_probability], 1))


def area_under_curve(values: Tensor, fractions: Sequence[float]) -> Tensor:
    """Area under each curve by the trapezoidal rule, float64 ``(B,)``, of values ``(B, fractions)``."""
    x = torch.tensor(fractions, dtype=torch.float64, device=values.device)
    return torch.trapezoid(values.double(), x, dim=1).clamp(0, 1)
