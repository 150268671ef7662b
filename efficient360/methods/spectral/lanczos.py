"""The largest singular value of an operator that is only known by what it does."""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from efficient360.methods.spectral.top_eigenvalue import Krylov

TOLERANCE: Final = 1e-5
"""Residual of the squared value, as a share of it, at which it counts as found: small, so that no neighbour of the largest is taken for it."""


def largest_singular_value(apply: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> float:
    """The largest singular value of a linear operator, by Lanczos' method on the operator and its transpose (Golub & Kahan 1965).

    From below: never above the true value by more than rounding.

    Args:
        apply: The operator; torch differentiates it for the transpose.
        start: Where to begin, in the shape that the operator takes; not orthogonal to what is sought.
        steps: The most steps, at least 1.
    """
    point = torch.zeros_like(start).requires_grad_(True)
    with torch.enable_grad():
        output = apply(point)

    def there_and_back(vector: Tensor) -> Tensor:
        with torch.no_grad():
            image = apply(vector.view_as(start))
        return torch.autograd.grad(output, point, image, retain_graph=True)[0].flatten()

    first = start.flatten() / start.norm()
    krylov = Krylov((), (), torch.zeros_like(first), first)
    while krylov.steps < steps and not krylov.settled(TOLERANCE):
        krylov = krylov.advanced(there_and_back)
    return math.sqrt(max(krylov.ritz()[0], 0.0))
