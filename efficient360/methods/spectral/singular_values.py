"""Singular values of matrices and what is summed up of them: spectral norm, stable rank, effective rank."""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def squared_singular_values(matrices: Tensor) -> Tensor:
    """Squared singular values of real or complex matrices ``(..., m, n)``, float64 ``(..., min(m, n))`` on the CPU, ascending, non-negative.

    They are the eigenvalues of the smaller Gram matrix, in double precision: several times faster than a decomposition into singular values, and as
    exact where it matters; singular values below 1e-8 of the largest are noise.
    """
    exact = matrices.detach().cpu().to(torch.complex128 if matrices.is_complex() else torch.float64)
    if exact.shape[-2] > exact.shape[-1]:
        exact = exact.mT
    if exact.shape[-2] == 1:
        return exact.abs().square().sum(-1)
    rows = exact.resolve_conj().numpy()
    # numpy sees that a matrix meets its own transpose, and computes half of the product
    gram = rows @ (rows.conj() if matrices.is_complex() else rows).swapaxes(-1, -2)
    return torch.from_numpy(np.linalg.eigvalsh(gram)).clamp_min(0)


@final
@dataclass(frozen=True)
class Spectrum:
    """The singular values of one operator, summed up.

    Args:
        norm: Largest singular value (spectral norm).
        energy: Sum of squared singular values (squared Frobenius norm).
        rank: How many singular values there are: the smaller side of the operator's matrix.
        effective_share: Effective rank as a share of ``rank``, in (0, 1]; 0 for an operator that is zero.
        row_norms: Sum over outputs of the length of the weights that lead to each, those of one position where weights are shared over positions:
            the (2, 1) norm of the transposed matrix.
        squares: Squared singular values ascending, where the operator is a plain matrix; else empty.
    """

    norm: float
    energy: float
    rank: int
    effective_share: float
    row_norms: float
    squares: NDArray[np.float64]

    @property
    def stable_rank(self) -> float:
        """Squared Frobenius over squared spectral norm, in [1, rank] (Rudelson & Vershynin 2007); 0 for an operator that is zero."""
        return self.energy / self.norm**2 if self.norm > 0 else 0.0

    @property
    def stable_share(self) -> float:
        """Stable rank as a share of ``rank``, in [0, 1]."""
        return min(1.0, self.stable_rank / self.rank)  # a norm that was iterated stays a trifle too small


def effective_rank(values: NDArray[Any]) -> float:
    """Effective rank of singular values ``(n,)``: the exponential of the entropy of their shares, in [1, n] (Roy & Vetterli 2007); 0 if all are 0."""
    total = float(values.sum())
    if total <= 0:
        return 0.0
    shares = values[values > 0] / total
    return min(float(len(values)), math.exp(float(-(shares * np.log(shares)).sum())))


def spectrum_of(blocks: Tensor) -> Spectrum:
    """The spectrum of a block-diagonal matrix.

    Args:
        blocks: ``(b, m, n)``; one block is a plain matrix.
    """
    by_block = squared_singular_values(blocks)
    squares = np.sort(by_block.flatten().numpy())
    rows = float(blocks.detach().double().square().sum(-1).sqrt().sum())
    share = effective_rank(np.sqrt(squares)) / len(squares)
    return Spectrum(math.sqrt(squares[-1]), float(squares.sum()), len(squares), share, rows, squares if len(blocks) == 1 else np.empty(0))


def random_stable_rank(rows: int, columns: int) -> float:
    """Stable rank of a large matrix of independent entries: m n / (√m + √n)².

    The mean square of a singular value over the upper edge of the law of Marchenko & Pastur (1967).
    """
    return rows * columns / (math.sqrt(rows) + math.sqrt(columns)) ** 2
