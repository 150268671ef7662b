"""Linear layers as two thinner ones."""

import copy
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from timm.layers import Linear
from torch import Tensor, nn
from torch.nn import functional

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.compression.compressor import Compressed, Compressor
from efficient360.methods.compression.tensors import stored_tensors

PLAIN: Final = (nn.Linear, Linear)
"""Layers that do no more than multiply and add; torch's own attention reads the weights of its layer past its ``forward``."""
THIN: Final = 32
"""Layers with a side below this stay as they are: a classifier of ten classes has no rank to spare."""


@final
@dataclass(frozen=True)
class LowRank(Compressor):
    """Each linear layer replaced by the product of two thinner ones, of so low a rank that they hold a given share of its weights, without training after.

    The factors are those of the truncated singular value decomposition, the nearest of their rank (Eckart & Young 1936; on networks Denil et al. 2013).

    Args:
        percent: Share of a layer's weights that its factors may hold, 1 to 99 %.

    Raises:
        SettingsError: A share outside these.
    """

    name: ClassVar[str] = "low_rank"
    title: ClassVar[str] = "Low rank"
    percent: int

    def __post_init__(self) -> None:
        if not 1 <= self.percent <= 99:
            raise SettingsError("bad-strength", f"factors with {self.percent} percent of a layer's weights are not offered", "give 1 to 99")

    @property
    def strength(self) -> Conditions:
        return {"kept": f"{self.percent} %"}

    def compress(self, network: nn.Module) -> Compressed:
        """As :meth:`Compressor.compress`; thin layers stay as they are.

        Raises:
            Unsupported: No linear layer is large enough (``no-linear-layers``).
        """
        copied = copy.deepcopy(network)
        replaced = {name: layer for name, layer in copied.named_modules() if type(layer) in PLAIN and self._rank(layer) and min(layer.weight.shape) >= THIN}
        if not replaced:
            message = f"{type(network).__name__} has no linear layer of {THIN} inputs and outputs or more"
            raise Unsupported("no-linear-layers", message, "choose another compressor")
        for name, layer in replaced.items():
            copied.set_submodule(name, FactoredLinear(layer, self._rank(layer)))
        return Compressed(copied, stored_tensors(copied), rebuilt=True)

    def _rank(self, layer: nn.Linear) -> int:
        """The highest rank whose factors hold no more than the share of the layer's weights."""
        return layer.in_features * layer.out_features * self.percent // (100 * (layer.in_features + layer.out_features))


@final
class FactoredLinear(nn.Module):
    """A linear layer of rank ``r``: inputs ``(…, in)`` to outputs ``(…, out)`` by way of ``(…, r)``.

    Args:
        layer: What it approximates.
        rank: ``r``, at least 1 and at most the smaller side.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.in_features, self.out_features = layer.in_features, layer.out_features
        left, values, right = torch.linalg.svd(layer.weight.detach().double(), full_matrices=False)
        root = values[:rank].sqrt()
        self.down = nn.Parameter((root[:, None] * right[:rank]).to(layer.weight), requires_grad=False)
        self.up = nn.Parameter((left[:, :rank] * root).to(layer.weight), requires_grad=False)
        self.bias = layer.bias

    @property
    def weight(self) -> Tensor:
        """The matrix that it stands for, ``(out, in)``: some networks read it."""
        return self.up @ self.down

    def forward(self, given: Tensor) -> Tensor:
        """Outputs ``(…, out)`` of inputs ``(…, in)``."""
        return functional.linear(functional.linear(given, self.down), self.up, self.bias)
