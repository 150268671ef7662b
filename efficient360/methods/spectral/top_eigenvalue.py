"""The outermost eigenvalues of a symmetric operator that is only known by what it does, in steps that can be kept and gone on from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor


@final
@dataclass(frozen=True)
class Krylov:
    """Where Lanczos' recurrence (Lanczos 1950) stands.

    No vector but the last two is kept: weights are too many for more. What that costs, copies of eigenvalues already found, leaves the outermost
    ones right (Paige 1980).

    Args:
        diagonal: Of the tridiagonal matrix, one a step done.
        beside: Beside it, as many; the last one leads out of the space explored.
        last: The last vector, ``(P,)``.
        following: The one that comes next, of length 1.
    """

    diagonal: tuple[float, ...]
    beside: tuple[float, ...]
    last: Tensor
    following: Tensor

    @property
    def steps(self) -> int:
        """Steps done."""
        return len(self.diagonal)

    def advanced(self, product: Callable[[Tensor], Tensor]) -> "Krylov":
        """One step further, with one product of the operator and a vector ``(P,)``."""
        image = product(self.following)
        here = _dot(image, self.following)
        image = image - here * self.following
        if self.steps:
            image = image - self.beside[-1] * self.last
        length = _dot(image, image) ** 0.5
        following = image / length if length > 0 else image
        return Krylov((*self.diagonal, here), (*self.beside, length), self.following, following)

    def ritz(self) -> tuple[float, float, float]:
        """Largest and smallest eigenvalue found, and how far the operator's next eigenvalue may lie from the largest.

        Raises:
            ValueError: No step was done.
        """
        values, vectors = eigh_tridiagonal(np.array(self.diagonal), np.array(self.beside[:-1]))
        return float(values[-1]), float(values[0]), abs(self.beside[-1] * float(vectors[-1, -1]))

    def settled(self, tolerance: float) -> bool:
        """Whether the largest eigenvalue is known within a share of itself, or there is nothing left to explore."""
        if not self.steps:
            return False
        largest, _, error = self.ritz()
        return error <= tolerance * abs(largest)


def begun(size: int, seed: int) -> Krylov:
    """Before the first step: a seeded normal vector ``(size,)`` of length 1."""
    start = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return Krylov((), (), torch.zeros(size), start / start.norm())


def _dot(first: Tensor, second: Tensor) -> float:
    return float(torch.dot(first.double(), second.double()))
