"""A linear layer as the product of two thinner ones."""

from typing import Final, final

import torch
from timm.layers import Linear
from torch import Tensor, nn
from torch.nn import functional

LINEAR: Final = (nn.Linear, Linear)
"""Layers that can be replaced. Subclasses can't: torch's own attention reads the weights of its output layer without calling ``forward``."""


@final
class FactoredLinear(nn.Module):
    """A linear layer of rank ``r``: inputs ``(…, in)`` to ``(…, r)`` to outputs ``(…, out)``.

    Args:
        down: ``(r, in)``.
        up: ``(out, r)``.
        bias: ``(out,)``; ``None`` for none.
    """

    def __init__(self, down: Tensor, up: Tensor, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.in_features, self.out_features = down.shape[1], up.shape[0]
        # What a decomposition returns may be laid out by columns.
        self.down = nn.Parameter(down.contiguous(), requires_grad=False)
        self.up = nn.Parameter(up.contiguous(), requires_grad=False)
        self.bias = bias

    @property
    def rank(self) -> int:
        """``r``."""
        return len(self.down)

    @property
    def weight(self) -> Tensor:
        """The product of its factors, ``(out, in)``: some networks read it."""
        return self.up @ self.down

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs ``(…, out)`` of inputs ``(…, in)``."""
        return functional.linear(functional.linear(inputs, self.down), self.up, self.bias)


def truncated(layer: nn.Linear, rank: int) -> FactoredLinear:
    """The layer of a rank that is nearest in its weights: the truncated singular value decomposition (Eckart & Young 1936).

    Args:
        layer: Left unchanged; its bias is shared.
        rank: At least 1 and at most the smaller side.
    """
    left, values, right = torch.linalg.svd(layer.weight.detach().double(), full_matrices=False)
    root = values[:rank].sqrt()
    return FactoredLinear((root[:, None] * right[:rank]).to(layer.weight), (left[:, :rank] * root).to(layer.weight), layer.bias)
