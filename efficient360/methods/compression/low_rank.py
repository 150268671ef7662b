"""Low-rank factorization: each linear layer as the product of two thinner ones, by truncated SVD."""

import copy
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from timm.layers import Linear
from torch import Tensor, nn
from torch.nn import functional

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.compression.compressor import CompressedNetwork, Compressor
from efficient360.models.compressed_file import stored_tensors

LINEAR: Final = (nn.Linear, Linear)
"""Layers that are replaced. Subclasses are not: torch's own attention reads the weights of its output layer without calling ``forward``."""
MIN_SIDE: Final = 32
"""Layers with a side below this are not factorized: a classifier of ten classes has no rank to spare."""


@final
@dataclass(frozen=True)
class LowRankFactorization(Compressor):
    """Each linear layer replaced by the product of two thinner ones, of the rank at which they hold a given share of its weights, without training after.

    The factors come from the truncated singular value decomposition, the best approximation of its rank (Eckart & Young 1936; on networks Denil et al. 2013).

    Args:
        percent: Share of a layer's weights that its factors may hold, 1 to 99 %.

    Raises:
        SettingsError: A share out of this range.
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

    def compress(self, network: nn.Module) -> CompressedNetwork:
        """As :meth:`Compressor.compress`; layers with a short side are left unchanged.

        Raises:
            Unsupported: No linear layer is large enough (``no-linear-layers``).
        """
        factorized = copy.deepcopy(network)
        replaced = {
            name: layer for name, layer in factorized.named_modules() if type(layer) in LINEAR and self._rank(layer) and min(layer.weight.shape) >= MIN_SIDE
        }
        if not replaced:
            message = f"{type(network).__name__} has no linear layer of {MIN_SIDE} inputs and outputs or more"
            raise Unsupported("no-linear-layers", message, "choose another compressor")
        for name, layer in replaced.items():
            factorized.set_submodule(name, FactoredLinear(layer, self._rank(layer)))
        return CompressedNetwork(factorized, stored_tensors(factorized), rebuilt=True)

    def _rank(self, layer: nn.Linear) -> int:
        """The highest rank whose factors hold no more than the share of the layer's weights."""
        return layer.in_features * layer.out_features * self.percent // (100 * (layer.in_features + layer.out_features))


@final
class FactoredLinear(nn.Module):
    """A linear layer of rank ``r``: inputs ``(…, in)`` to ``(…, r)`` to outputs ``(…, out)``.

    Args:
        layer: The layer that it approximates.
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
        """The product of its factors, ``(out, in)``: some networks read it."""
        return self.up @ self.down

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs ``(…, out)`` of inputs ``(…, in)``."""
        return functional.linear(functional.linear(inputs, self.down), self.up, self.bias)
