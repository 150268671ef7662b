"""Infidelity and max-sensitivity of attributions (Yeh et al. 2019, On the (in)fidelity and sensitivity of explanations).

Captum's are the oracles in the tests, and slower: its infidelity runs the masked images anew for each method, its max-sensitivity explains the original again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.method import AttributionBatch, target_logits
from efficient360.methods.attribution.occlusion import mean_colour
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class MaskedLogits:
    """Effect of masking squares; the same for every attribution method, so it is computed once.

    Args:
        squares: Which cells each square masks, bool ``(B, squares, cells)``.
        drops: Drop of the target logit, float32 ``(B, squares)``.
    """

    squares: Tensor
    drops: Tensor


def random_squares(grid: Grid, batch: AttributionBatch, number: int) -> Tensor:
    """Random squares with sides from one cell to half the shorter side, bool ``(B, number, cells)``, seeded by the example's id."""
    half = max(1, min(grid.rows, grid.columns) // 2)
    masks = np.zeros((len(batch), number, grid.rows, grid.columns), dtype=bool)
    for example, rng in enumerate(batch.generators("squares")):
        for square in range(number):
            side = int(rng.integers(1, half + 1))
            top, left = int(rng.integers(0, grid.rows - side + 1)), int(rng.integers(0, grid.columns - side + 1))
            masks[example, square, top : top + side, left : left + side] = True
    return torch.from_numpy(masks).flatten(2).to(batch.images.device)


def masked_logits(model: TorchModel, grid: Grid, batch: AttributionBatch, number: int) -> MaskedLogits:
    """Drop of the target logit when random squares are replaced by the image's mean colour.

    Args:
        model: The model.
        grid: The cells.
        batch: Images and their target classes.
        number: Squares an image, a forward pass each.
    """
    squares, original, baseline = random_squares(grid, batch, number), target_logits(model, batch), mean_colour(batch.images)
    masked = (torch.where(grid.to_pixels(squares[:, i]), baseline, batch.images) for i in range(number))
    return MaskedLogits(squares, torch.stack([original - target_logits(model, batch.with_images(images)) for images in masked], 1))


def infidelity(attributions: Tensor, masked: MaskedLogits) -> Tensor:
    """Normalised infidelity, float64 ``(B,)`` in [0, 1]: fraction of the squared logit drops that is not predicted; 1 where attributions or drops are all zero.

    Yeh et al.'s infidelity is the mean of (sum of masked attributions − drop)². With attributions at their optimal scale, divided by the infidelity
    of all-zero attributions, it is 1 − (Σ a b)² / (Σ a² Σ b²), which has no unit.

    Args:
        attributions: ``(B, cells)``.
        masked: Squares and drops of the same images.
    """
    predicted, drops = (masked.squares.double() @ attributions.double()[:, :, None])[:, :, 0], masked.drops.double()
    product, norms = (predicted * drops).sum(1).square(), predicted.square().sum(1) * drops.square().sum(1)
    return torch.where(norms > 0, 1 - product / norms.clamp(min=torch.finfo(torch.float64).tiny), torch.ones_like(norms)).clamp(0, 1)


def perturbed(batch: AttributionBatch, radius: float, draw: int) -> AttributionBatch:
    """The images with uniform noise in ``[-radius, radius]`` on every pixel, clipped to [0, 1], seeded by the example's id and ``draw``."""
    shape = batch.images.shape[1:]
    noise = np.stack([rng.uniform(-radius, radius, shape).astype(np.float32) for rng in batch.generators(f"nearby {draw}")])
    return batch.with_images((batch.images + torch.from_numpy(noise).to(batch.images.device)).clamp(0, 1))


def max_sensitivity(attribute: Callable[[AttributionBatch], Tensor], attributions: Tensor, batch: AttributionBatch, radius: float, draws: int) -> Tensor:
    """Largest L2 distance between the attributions of a perturbed and of the original image, relative to the norm of the latter, float64 ``(B,)``.

    Where the original's norm is zero, the distance is not divided.

    Args:
        attribute: Attributions ``(B, cells)`` of a batch.
        attributions: Those of ``batch``.
        batch: Images and their target classes; the target stays the same when the image is perturbed.
        radius: Largest change of a pixel.
        draws: Perturbed images, each with attributions of its own.
    """
    norm = attributions.double().norm(dim=1)
    distances = [(attribute(perturbed(batch, radius, draw)).double() - attributions.double()).norm(dim=1) for draw in range(draws)]
    return torch.stack(distances).amax(0) / torch.where(norm > 0, norm, torch.ones_like(norm))
