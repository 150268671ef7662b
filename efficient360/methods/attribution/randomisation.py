"""The randomisation check: whether an explanation notices that the network's weights were shuffled."""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from efficient360.models.model import TorchModel

STAGES = ("head", "upper half", "all")
"""What is shuffled, from the head downwards."""


def randomised(model: TorchModel, seed: int) -> Iterator[tuple[str, TorchModel]]:
    """Copies of the model with shuffled weights, the layers from the head down to more and more of the network (Adebayo et al. 2018, cascading).

    Every tensor keeps its values and loses their places: scales stay, what was learned is gone. The model itself is left as it is.

    Args:
        model: What is explained.
        seed: Of the shuffles, together with each tensor's name.
    """
    layers = [name for name, module in model.network.named_modules() if next(module.parameters(recurse=False), None) is not None]
    for stage, count in zip(STAGES, (1, len(layers) // 2, len(layers)), strict=True):
        changed = copy.deepcopy(model.module)
        _shuffle(changed.network, layers[len(layers) - max(1, count) :], seed)
        yield stage, replace(model, module=changed)


def _shuffle(network: nn.Module, layers: Sequence[str], seed: int) -> None:
    with torch.no_grad():
        for layer in layers:
            for name, parameter in network.get_submodule(layer).named_parameters(recurse=False):
                drawn = hashlib.sha256(f"{seed}\0shuffle\0{layer}.{name}".encode()).digest()
                generator = torch.Generator().manual_seed(int.from_bytes(drawn[:7], "big"))
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's rank correlation of each pair of rows, float64 ``(B,)``, ties at their mean rank.

    A row of equal values ranks nothing: against another such row 1, against any other 0.

    Args:
        first: ``(B, cells)``.
        second: ``(B, cells)``.
    """
    a, b = _centred_ranks(first), _centred_ranks(second)
    lengths = a.norm(dim=1) * b.norm(dim=1)
    both_flat = (a.norm(dim=1) == 0) & (b.norm(dim=1) == 0)
    correlation = (a * b).sum(1) / torch.where(lengths > 0, lengths, torch.ones_like(lengths))
    return torch.where(both_flat, torch.ones_like(correlation), correlation).clamp(-1, 1)


def _centred_ranks(values: Tensor) -> Tensor:
    below = (values[:, :, None] > values[:, None, :]).sum(2).double()
    equal = (values[:, :, None] == values[:, None, :]).sum(2).double()
    return below + 0.5 * (equal - 1) - 0.5 * (values.shape[1] - 1)
