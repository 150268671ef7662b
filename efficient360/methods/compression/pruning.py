"""The smallest weights left out."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Size, Tensor, nn

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError
from efficient360.methods.compression.compressor import Coder, Compressed, Parts
from efficient360.methods.compression.packing import packed, unpacked
from efficient360.methods.compression.weights import coded, weights_of


@final
@dataclass(frozen=True)
class Pruning(Coder):
    """The smallest weights of the whole network set to zero, whatever layer they stand in, without training after.

    Global magnitude pruning: Han et al. 2015, Learning both Weights and Connections; Blalock et al. 2020, What is the State of Neural Network Pruning?
    Stored as a bit for every weight and the float32 values of those that stay.

    Args:
        percent: Share of the weights left out, 1 to 99 %.

    Raises:
        SettingsError: A share outside these.
    """

    name: ClassVar[str] = "pruning"
    title: ClassVar[str] = "Pruning"
    percent: int

    def __post_init__(self) -> None:
        if not 1 <= self.percent <= 99:
            raise SettingsError("bad-strength", f"pruning {self.percent} percent of the weights is not offered", "give 1 to 99")

    @property
    def strength(self) -> Conditions:
        return {"left_out": f"{self.percent} %"}

    def compress(self, network: nn.Module) -> Compressed:
        sizes = np.concatenate([weight.detach().float().abs().flatten().cpu().numpy() for weight in weights_of(network).values()])
        out = len(sizes) * self.percent // 100
        # The smallest that stays; of several as small all stay.
        least = float(np.partition(sizes, out)[out])
        return coded(network, self, lambda weight: _sparse(weight, weight.abs() >= least))

    def decode(self, parts: Parts, shape: Size) -> Tensor:
        found = torch.zeros(shape.numel())
        found[unpacked(parts["mask"], 1, shape.numel()).bool()] = parts["values"]
        return found.reshape(shape)


def _sparse(weight: Tensor, stays: Tensor) -> Parts:
    return {"mask": packed(stays.flatten().to(torch.uint8), 1), "values": weight[stays].cpu()}
