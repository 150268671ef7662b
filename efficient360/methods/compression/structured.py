"""Which inputs of a linear layer may go at the least cost, and the weights that make up for them: the optimal brain surgeon on groups of inputs.

Hassibi & Stork 1993; on groups of a transformer's weights Kurtić et al. 2023, ZipLM. The loss is the mean squared change of the layer's outputs over
calibration images; what is lost is made up for by the inputs that are kept, in closed form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn

from efficient360.methods.compression.moments import Moments

STEPS: Final = 32
"""Removals after which costs are computed anew, at least; with fewer groups each is removed by itself."""


@final
@dataclass(frozen=True)
class Kept:
    """What is left of a layer.

    Args:
        groups: Groups of inputs that are kept, ascending.
        loss: Share of the variance of the layer's outputs that is lost, over the calibration images; 0 for none.
    """

    groups: tuple[int, ...]
    loss: float


def choose_groups(layer: nn.Linear, moments: Moments, size: int, kept: int) -> Kept:
    """The groups of inputs to keep, found by removing the cheapest again and again; the layer's weights then make up for the others.

    Args:
        layer: Changed in place: weights of kept inputs and bias; the weights of the others are left for the caller to slice away.
        moments: Of its inputs.
        size: Consecutive inputs in a group.
        kept: Groups to keep, at least 1.
    """
    weight = layer.weight.detach().double().cpu()
    covariance = moments.damped()
    groups = _cheapest_removed(weight, covariance, size, kept)
    columns = _columns(groups, size)
    others = sorted(set(range(weight.shape[1])) - set(columns))
    whole = float((weight @ moments.covariance * weight).sum())
    if not others:
        return Kept(tuple(groups), 0.0)
    # Least squares: the outputs of the removed inputs, as far as kept inputs predict them.
    taken_over = torch.linalg.solve(covariance[columns][:, columns], covariance[columns][:, others]) @ weight[:, others].T
    adapted = weight[:, columns] + taken_over.T
    change = weight.clone()
    change[:, columns] -= adapted
    lost = float((change @ moments.covariance * change).sum())
    with torch.no_grad():
        layer.weight[:, columns] = adapted.to(layer.weight)
        if layer.bias is not None:
            layer.bias.add_((change @ moments.mean).to(layer.bias))
    return Kept(tuple(groups), lost / whole if whole > 0 else 0.0)


def _cheapest_removed(weight: Tensor, covariance: Tensor, size: int, kept: int) -> list[int]:
    """Indices of the groups that are left, ascending."""
    alive = torch.ones(weight.shape[1] // size, dtype=torch.bool)
    at_once = max(1, (len(alive) - kept) // STEPS)
    # The order of removals bears rounding: the weights that make up for them are computed once, in float64, from all that went.
    inverse, weight = torch.linalg.inv(covariance).float(), weight.float()
    for removals in range(len(alive) - kept, 0, -at_once):
        costs = _costs(weight, inverse, alive, size)
        gone = costs.argsort(stable=True)[: min(at_once, removals)]
        alive[gone] = False
        lost = (gone[:, None] * size + torch.arange(size)).flatten()
        # Removing inputs takes their weights over to the others and conditions the inverse on their absence; their own rows and columns become zero.
        towards = torch.linalg.solve(inverse[lost][:, lost], inverse[lost])
        weight = weight - weight[:, lost] @ towards
        inverse = inverse - inverse[:, lost] @ towards
    return [group for group, left in enumerate(alive.tolist()) if left]


def _costs(weight: Tensor, inverse: Tensor, alive: Tensor, size: int) -> Tensor:
    """The rise of the squared error of the outputs if a group of inputs goes and all others make up for it, ``(groups,)``; infinite for those that went."""
    if size == 1:
        return torch.where(alive, weight.square().sum(0) / inverse.diagonal().clamp_min(1e-30), torch.inf)
    groups = len(alive)
    own = inverse.reshape(groups, size, groups, size)[torch.arange(groups), :, torch.arange(groups), :]
    own = torch.where(alive[:, None, None], own, torch.eye(size, dtype=own.dtype))
    parts = weight.reshape(len(weight), groups, size).permute(1, 2, 0)
    return torch.where(alive, (parts * torch.linalg.solve(own, parts)).sum((1, 2)), torch.inf)


def _columns(groups: Sequence[int], size: int) -> list[int]:
    return [group * size + place for group in groups for place in range(size)]
