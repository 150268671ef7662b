"""Singular values of an operator and their summary: spectral norm, stable rank, effective rank; and the stable rank of a random matrix."""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def squared_singular_values(matrices: Tensor) -> Tensor:
    """Squared singular values of real or complex matrices ``(..., m, n)``, float64 ``(..., min(m, n))`` on the CPU, ascending, non-negative.

    Computed as the eigenvalues of the smaller Gram matrix in double precision: several times faster than a singular value decomposition, and as
    accurate where it matters; singular values below 1e-8 of the largest are noise.
    """
    exact = matrices.detach().cpu().to(torch.complex128 if matrices.is_complex() else torch.float64)
    if exact.shape[-2] > exact.shape[-1]:
        exact = exact.mT
    if exact.shape[-2] == 1:
        return exact.abs().square().sum(-1)
    rows = exact.resolve_conj().numpy()
    # numpy recognises the product of a matrix with its own transpose and computes half of it
    gram = rows @ (rows.conj() if matrices.is_complex() else rows).swapaxes(-1, -2)
    return torch.from_numpy(np.linalg.eigvalsh(gram)).clamp_min(0)


@final
@dataclass(frozen=True)
class OperatorSpectrum:
    """Summary of the singular values of one operator.

    Args:
        spectral_norm: Largest singular value.
        squared_frobenius: Sum of squared singular values (squared Frobenius norm).
        full_rank: Number of singular values: the smaller side of the operator's matrix.
        effective_rank_share: Effective rank as a share of ``full_rank``, in (0, 1]; 0 for an operator that is zero.
        row_norm_sum: Sum of the Euclidean norms of the rows, the (2, 1) norm of the transposed matrix; where weights are shared over positions, the
            rows of one position.
        eigenvalues: Squared singular values (eigenvalues of WᵀW), ascending, where the operator is a plain matrix; otherwise empty.
    """

    spectral_norm: float
    squared_frobenius: float
    full_rank: int
    effective_rank_share: float
    row_norm_sum: float
    eigenvalues: NDArray[np.float64]

    @property
    def stable_rank(self) -> float:
        """Squared Frobenius over squared spectral norm, in [1, full rank] (Rudelson & Vershynin 2007); 0 for an operator that is zero."""
        return self.squared_frobenius / self.spectral_norm**2 if self.spectral_norm > 0 else 0.0

    @property
    def stable_rank_share(self) -> float:
        """Stable rank as a share of ``full_rank``, in [0, 1]."""
        return min(1.0, self.stable_rank / self.full_rank)  # a spectral norm found by iteration is slightly too small


def effective_rank(singular_values: NDArray[Any]) -> float:
    """Exponential of the entropy of normalised singular values ``(n,)``, in [1, n] (Roy & Vetterli 2007); 0 if all are 0."""
    total = float(singular_values.sum())
    if total <= 0:
        return 0.0
    shares = singular_values[singular_values > 0] / total
    return min(float(len(singular_values)), math.exp(float(-(shares * np.log(shares)).sum())))


def matrix_spectrum(blocks: Tensor) -> OperatorSpectrum:
    """The spectrum of a block-diagonal matrix.

    Args:
        blocks: ``(b, m, n)``; one block is a plain matrix.
    """
    by_block = squared_singular_values(blocks)
    squares = np.sort(by_block.flatten().numpy())
    row_norms = float(blocks.detach().double().square().sum(-1).sqrt().sum())
    share = effective_rank(np.sqrt(squares)) / len(squares)
    return OperatorSpectrum(math.sqrt(squares[-1]), float(squares.sum()), len(squares), share, row_norms, squares if len(blocks) == 1 else np.empty(0))


def random_stable_rank(rows: int, columns: int) -> float:
    """Stable rank of a large matrix with independent entries: m n / (√m + √n)².

    The mean squared singular value, times the rank, over the upper edge of the law of Marchenko & Pastur (1967).
    """
    return rows * columns / (math.sqrt(rows) + math.sqrt(columns)) ** 2
