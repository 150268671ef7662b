"""Infidelity: whether the values of covered cells foretell how far the logit falls."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.attribution.blanks import mean
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question, logits
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class Covered:
    """What covering squares does; the same for every explanation, so it is computed once.

    Args:
        cells: Which cells each square covers, bool ``(B, squares, cells)``.
        falls: Fall of the logit, float32 ``(B, squares)``.
    """

    cells: Tensor
    falls: Tensor


def squares(grid: Grid, question: Question, number: int) -> Tensor:
    """Random squares of one cell to half the shorter side, bool ``(B, number, cells)``; each example draws its own."""
    half = max(1, min(grid.rows, grid.columns) // 2)
    chosen = np.zeros((len(question), number, grid.rows, grid.columns), dtype=bool)
    for example, rng in enumerate(question.generators("squares")):
        for square in range(number):
            side = int(rng.integers(1, half + 1))
            top, left = int(rng.integers(0, grid.rows - side + 1)), int(rng.integers(0, grid.columns - side + 1))
            chosen[example, square, top : top + side, left : left + side] = True
    return torch.from_numpy(chosen).flatten(2).to(question.images.device)


def covered(model: TorchModel, grid: Grid, question: Question, number: int) -> Covered:
    """Fall of the logit when random squares are painted in the image's mean colour.

    Args:
        model: What is explained.
        grid: The cells.
        question: Images and their classes.
        number: Squares an image, a pass each.
    """
    cells, whole, blank = squares(grid, question, number), logits(model, question), mean(question.images)
    images = (torch.where(grid.spread(cells[:, i]), blank, question.images) for i in range(number))
    return Covered(cells, torch.stack([whole - logits(model, question.about(one)) for one in images], 1))


def infidelity(values: Tensor, what: Covered) -> Tensor:
    """Unforetold share of the squared falls, float64 ``(B,)`` in [0, 1]; 1 where the values, or the falls, are all zero.

    Yeh et al.'s infidelity is the mean of (sum of covered values − fall)². With values scaled as suits them best, over that of an
    explanation of zeros, it is 1 − (Σ a b)² / (Σ a² Σ b²), which needs no unit.

    Args:
        values: ``(B, cells)``.
        what: Squares and falls of the same images.
    """
    told, falls = (what.cells.double() @ values.double()[:, :, None])[:, :, 0], what.falls.double()
    both, norms = (told * falls).sum(1).square(), told.square().sum(1) * falls.square().sum(1)
    return torch.where(norms > 0, 1 - both / norms.clamp(min=torch.finfo(torch.float64).tiny), torch.ones_like(norms)).clamp(0, 1)
