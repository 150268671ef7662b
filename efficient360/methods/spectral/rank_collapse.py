"""Whether the tokens of a map are still different tokens."""

import torch
from torch import Tensor

from efficient360.methods.spectral.singular_values import effective_rank, squared_singular_values


def mean_cosine(tokens: Tensor) -> Tensor:
    """Mean cosine over all pairs of different tokens, ``(B,)`` in [-1, 1] up to rounding; 1 where all tokens are alike.

    Args:
        tokens: ``(B, N, channels)``, ``N`` at least 2.
    """
    tokens = tokens.double()
    lengths = tokens.norm(dim=2, keepdim=True)
    unit = tokens / torch.where(lengths == 0, 1.0, lengths)
    n = tokens.shape[1]
    cosine = (unit.sum(1).square().sum(1) - unit.square().sum((1, 2))) / (n * (n - 1))
    return torch.where((lengths == 0).all(1)[:, 0], 1.0, cosine).clamp(-1, 1)


def residual(tokens: Tensor) -> Tensor:
    """Distance of the tokens from equal ones relative to their size, ``‖X - 1x̄ᵀ‖ / ‖X‖`` in the Frobenius norm, ``(B,)`` in [0, 1]; 0 where all are alike.

    The residual of Dong, Cordonnier & Loukas 2021, whose theorem takes another norm.

    Args:
        tokens: ``(B, N, channels)``.
    """
    tokens = tokens.double()
    whole = tokens.norm(dim=(1, 2))
    apart = (tokens - tokens.mean(1, keepdim=True)).norm(dim=(1, 2))
    size: Tensor = torch.where(whole == 0, 1.0, whole)
    residual: Tensor = (apart / size).clamp(0, 1)
    return residual


def effective_ranks(tokens: Tensor) -> Tensor:
    """Effective rank of each map, float64 ``(B,)`` on the CPU, from 1 to ``min(N, channels)``; 0 where all tokens are 0 (Roy & Vetterli 2007).

    Args:
        tokens: ``(B, N, channels)``.
    """
    values = squared_singular_values(tokens).sqrt().numpy()
    return torch.tensor([effective_rank(row) for row in values], dtype=torch.float64)
