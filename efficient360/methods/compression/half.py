"""Weights in sixteen bits."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Size, Tensor, nn

from efficient360.core.measurement import Conditions
from efficient360.methods.compression.compressor import Coder, Compressed, Parts
from efficient360.methods.compression.weights import coded


@final
@dataclass(frozen=True)
class Half(Coder):
    """Weights stored as bfloat16, which has float32's range: what every network can have for nothing, and the others are to be held against.

    Micikevicius et al. 2018, Mixed Precision Training; Kalamkar et al. 2019, A Study of BFLOAT16 for Deep Learning Training.
    """

    name: ClassVar[str] = "half"
    title: ClassVar[str] = "bfloat16"

    @property
    def strength(self) -> Conditions:
        return {}

    def compress(self, network: nn.Module) -> Compressed:
        return coded(network, self, _encode)

    def decode(self, parts: Parts, shape: Size) -> Tensor:
        return parts["bfloat16"].float().reshape(shape)


def _encode(weight: Tensor) -> Parts:
    return {"bfloat16": weight.to(torch.bfloat16)}
