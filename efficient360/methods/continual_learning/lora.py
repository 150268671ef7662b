"""Low-rank adapters: a frozen weight plus a product of two thin matrices that learn (Hu et al. 2022, section 4.1)."""

from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from efficient360.errors import Unsupported

SCALE: Final = 2.0
"""α / r of the paper's section 4.1."""


@final
class LowRank(nn.Module):
    """A weight ``W`` of ``(out, in)`` becomes ``W + SCALE · B A``. ``B`` starts from zeros, so nothing changes before it learns.

    Args:
        weight: ``W``.
        rank: At least 1; no more than the smaller side is used.
        generator: Draws ``A``.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        used = min(rank, rows, columns)
        drawn = torch.randn((used, columns), generator=generator) / columns**0.5
        self.down = nn.Parameter(drawn.to(weight))
        self.up = nn.Parameter(weight.new_zeros((rows, used)))

    def forward(self, weight: Tensor) -> Tensor:
        """The adapted weight."""
        return weight + SCALE * (self.up @ self.down)


def adapt(backbone: nn.Module, rank: int, seed: int) -> None:
    """Freeze a network and put an adapter into each of its linear layers: those of attention and of the MLPs.

    Args:
        backbone: Changed in place.
        rank: Of every adapter.
        seed: Of their first matrices.

    Raises:
        Unsupported: It has no linear layer.
    """
    backbone.requires_grad_(requires_grad=False)
    linears = [layer for layer in backbone.modules() if type(layer) is nn.Linear]
    if not linears:
        raise Unsupported("no-linear-layers", "the network has no linear layers to adapt", "leave lora out of the methods")
    generator = torch.Generator().manual_seed(seed)
    for layer in linears:
        # unsafe: registering would otherwise run the adapter once on trial, for nothing.
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight.detach(), rank, generator), unsafe=True)
