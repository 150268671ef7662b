"""Lanczos' method: extreme eigenvalues of a symmetric operator, and the largest singular value of any, from products with vectors alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

SINGULAR_VALUE_TOLERANCE: Final = 1e-5
"""Relative residual of the squared singular value at convergence: small, so that no neighbour of the largest is mistaken for it."""


@final
@dataclass(frozen=True)
class LanczosState:
    """State of Lanczos' recurrence (Lanczos 1950), which can be saved and resumed.

    Only the last two vectors are kept, since there is one entry per weight. Without reorthogonalisation converged eigenvalues reappear as copies,
    but the extreme ones stay accurate (Paige 1980).

    Args:
        diagonal: Diagonal of the tridiagonal matrix, one entry per step taken.
        off_diagonal: Its off-diagonal, as many; the last entry is the norm of the residual vector.
        previous: The previous Lanczos vector, ``(P,)``.
        current: The next vector to multiply, of norm 1.
    """

    diagonal: tuple[float, ...]
    off_diagonal: tuple[float, ...]
    previous: Tensor
    current: Tensor

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return len(self.diagonal)

    def advance(self, product: Callable[[Tensor], Tensor]) -> "LanczosState":
        """The state after one more step, with one product of the operator and a vector ``(P,)``."""
        image = product(self.current)
        alpha = _dot(image, self.current)
        image = image - alpha * self.current
        if self.steps:
            image = image - self.off_diagonal[-1] * self.previous
        beta = _dot(image, image) ** 0.5
        following = image / beta if beta > 0 else image
        return LanczosState((*self.diagonal, alpha), (*self.off_diagonal, beta), self.current, following)

    def ritz_values(self) -> tuple[float, float, float]:
        """Largest and smallest Ritz value, and the residual of the largest: the distance within which the operator has an eigenvalue.

        Raises:
            ValueError: No step was taken.
        """
        values, vectors = eigh_tridiagonal(np.array(self.diagonal), np.array(self.off_diagonal[:-1]))
        return float(values[-1]), float(values[0]), abs(self.off_diagonal[-1] * float(vectors[-1, -1]))

    def converged(self, tolerance: float) -> bool:
        """Whether the residual of the largest Ritz value is within ``tolerance`` times its size."""
        if not self.steps:
            return False
        largest, _, residual = self.ritz_values()
        return residual <= tolerance * abs(largest)


def initial_state(size: int, seed: int) -> LanczosState:
    """The state before the first step: a seeded normal vector ``(size,)`` of norm 1."""
    start = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return LanczosState((), (), torch.zeros(size), start / start.norm())


def largest_singular_value(apply: Callable[[Tensor], Tensor], start: Tensor, max_steps: int) -> float:
    """The largest singular value of a linear operator, by Lanczos' method on AᵀA (Golub & Kahan 1965).

    Converges from below: never above the true value by more than rounding.

    Args:
        apply: The operator; torch differentiates it for the transpose.
        start: Starting vector in the operator's input shape, not orthogonal to the leading singular vector.
        max_steps: At least 1.
    """
    point = torch.zeros_like(start).requires_grad_(True)
    with torch.enable_grad():
        output = apply(point)

    def gram_product(vector: Tensor) -> Tensor:
        with torch.no_grad():
            image = apply(vector.view_as(start))
        return torch.autograd.grad(output, point, image, retain_graph=True)[0].flatten()

    first = start.flatten() / start.norm()
    state = LanczosState((), (), torch.zeros_like(first), first)
    while state.steps < max_steps and not state.converged(SINGULAR_VALUE_TOLERANCE):
        state = state.advance(gram_product)
    return math.sqrt(max(state.ritz_values()[0], 0.0))


def _dot(first: Tensor, second: Tensor) -> float:
    return float(torch.dot(first.double(), second.double()))
