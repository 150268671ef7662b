"""Sparseness: whether an explanation names few cells or all of them."""

import torch
from torch import Tensor


def gini(values: Tensor) -> Tensor:
    """Gini index of the absolute values of each row, float64 ``(B,)`` in [0, 1 − 1/cells]; 0 where all are alike, zeros included.

    Hurley & Rickard 2009: 1 − 2 Σ (c(k) / Σ c) (N − k + ½) / N, ``c(k)`` rising.
    """
    rising = values.double().abs().sort(1).values
    n, total = rising.shape[1], rising.sum(1)
    weights = (n - torch.arange(1, n + 1, device=values.device, dtype=torch.float64) + 0.5) / n
    index = 1 - 2 * (rising * weights).sum(1) / torch.where(total > 0, total, torch.ones_like(total))
    return torch.where(total > 0, index, torch.zeros_like(total)).clamp(0, 1)
