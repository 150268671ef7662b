"""Insertion and deletion: the probability of the class as cells come and go in the order of an explanation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.question import Question, probabilities
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class Ends:
    """What both curves begin and end with.

    Args:
        blank: Images with every cell removed, ``(B, 3, H, W)``.
        clean: Probability of the class on the image, ``(B,)``.
        empty: Probability of the class on the blank, ``(B,)``.
    """

    blank: Tensor
    clean: Tensor
    empty: Tensor


@final
@dataclass(frozen=True)
class Curves:
    """Probability of the class with a share of the cells inserted into a blank, and deleted from the image.

    Args:
        shares: From 0 to 1.
        insertion: ``(B, shares)``.
        deletion: ``(B, shares)``.
    """

    shares: tuple[float, ...]
    insertion: Tensor
    deletion: Tensor


def ranks(values: Tensor, question: Question) -> Tensor:
    """Place of each cell in the order of removal, int64 ``(B, cells)``: 0 for the highest value, equal ones by a draw of the example's own."""
    cells = values.shape[1]
    shuffled = torch.from_numpy(np.stack([rng.permutation(cells) for rng in question.generators("ties")])).to(values.device)
    order = shuffled.gather(1, values.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))
    return torch.empty_like(order).scatter_(1, order, torch.arange(cells, device=values.device).expand_as(order))


def counts(cells: int, points: int) -> list[int]:
    """How many cells have moved at each of ``points`` steps from none to all, each once."""
    return sorted({round(cells * point / points) for point in range(points + 1)})


def curves(model: TorchModel, grid: Grid, question: Question, rank: Tensor, ends: Ends, moved: Sequence[int]) -> Curves:
    """Both curves of every image.

    Args:
        model: What is explained.
        grid: The cells.
        question: Images and their classes.
        rank: Place of each cell, int64 ``(B, cells)``.
        ends: What the curves begin and end with.
        moved: Cells that have moved at each point, from 0 to all.
    """
    insertion, deletion = [ends.empty], [ends.clean]
    for count in moved[1:-1]:
        chosen = grid.spread(rank < count)
        insertion.append(probabilities(model, question.about(torch.where(chosen, question.images, ends.blank))))
        deletion.append(probabilities(model, question.about(torch.where(chosen, ends.blank, question.images))))
    shares = tuple(count / grid.cells for count in moved)
    return Curves(shares, torch.stack([*insertion, ends.clean], 1), torch.stack([*deletion, ends.empty], 1))


def area(values: Tensor, shares: Sequence[float]) -> Tensor:
    """Area under each curve by trapezia, float64 ``(B,)``, of values ``(B, shares)``."""
    at = torch.tensor(shares, dtype=torch.float64, device=values.device)
    return torch.trapezoid(values.double(), at, dim=1).clamp(0, 1)
