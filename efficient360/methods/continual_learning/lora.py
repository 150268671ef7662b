"""LoRA: low-rank adapters, a frozen weight plus a trained product of two thin matrices (Hu et al. 2022, section 4.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from efficient360.errors import Unsupported
from efficient360.methods.continual_learning.method import LearningRates, Method, RunSetup, TrainedLearner, train_sequentially

SCALE: Final = 2.0
"""α / r in section 4.1 of the paper."""


@final
class LoraAdapter(nn.Module):
    """A weight ``W`` of ``(out, in)`` becomes ``W + SCALE · B A``. ``B`` is initialised to zeros, so nothing changes before training.

    Args:
        weight: ``W``.
        rank: At least 1; at most the smaller side is used.
        generator: Of ``A``.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rows, columns = weight.shape
        used = min(rank, rows, columns)
        initial = torch.randn((used, columns), generator=generator) / columns**0.5
        self.down = nn.Parameter(initial.to(weight))
        self.up = nn.Parameter(weight.new_zeros((rows, used)))

    def forward(self, weight: Tensor) -> Tensor:
        """The adapted weight."""
        return weight + SCALE * (self.up @ self.down)


def add_adapters(backbone: nn.Module, rank: int, seed: int) -> None:
    """Freeze a network and add an adapter to each of its linear layers, those of attention and of the MLPs.

    Args:
        backbone: Changed in place.
        rank: Of every adapter.
        seed: Of their initial ``A``.

    Raises:
        Unsupported: It has no linear layer.
    """
    backbone.requires_grad_(requires_grad=False)
    linears = [layer for layer in backbone.modules() if type(layer) is nn.Linear]
    if not linears:
        raise Unsupported("no-linear-layers", "the network has no linear layers to adapt", "leave lora out of the methods")
    generator = torch.Generator().manual_seed(seed)
    for layer in linears:
        # unsafe=True skips the trial run of the adapter at registration.
        parametrize.register_parametrization(layer, "weight", LoraAdapter(layer.weight.detach(), rank, generator), unsafe=True)


@final
@dataclass(frozen=True)
class Lora(Method):
    """LoRA: low-rank adapters in every linear layer and the head are trained; everything else is frozen.

    Args:
        rates: Learning rates.
        rank: Of the adapters, at least 1.
    """

    name: ClassVar[str] = "lora"
    rates: LearningRates
    rank: int

    def learn(self, setup: RunSetup) -> Iterator[TrainedLearner]:
        """Add the adapters, then train them and the head, task after task."""
        learner = setup.new_learner()
        add_adapters(learner.backbone, self.rank, setup.schedule.seed)
        yield from train_sequentially(learner, setup.stream, self.rates, setup.schedule)
