"""The largest singular value of an operator that is only known by what it does."""

from collections.abc import Callable

import torch
from torch import Tensor

TOLERANCE = 1e-6
"""Relative change of the squared value over five steps at which it has settled."""


def largest_singular_value(apply: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> float:
    """The largest singular value of a linear operator, by Lanczos' method on the operator and its transpose (Golub & Kahan 1965).

    From below: never above the true value by more than rounding. After k steps at least as near as after k power iterations, mostly far nearer.

    Args:
        apply: The operator; torch differentiates it for the transpose.
        start: Where to begin; any vector that is no singular vector already, in the shape that the operator takes.
        steps: The most steps.
    """
    point = torch.zeros_like(start).requires_grad_(True)
    with torch.enable_grad():
        output = apply(point)
    diagonal: list[float] = []
    beside: list[float] = []
    found: list[float] = []
    right, last = start / start.norm(), torch.zeros_like(start)
    for _ in range(steps):
        with torch.no_grad():
            image = apply(right)
        (back,) = torch.autograd.grad(output, point, image, retain_graph=True)
        diagonal.append(float((right.double() * back.double()).sum()))
        found.append(_top(diagonal, beside))
        if len(found) > 5 and found[-1] - found[-6] <= TOLERANCE * found[-1]:
            break
        back = back - diagonal[-1] * right - (beside[-1] if beside else 0.0) * last
        length = float(back.double().norm())
        if length <= 1e-6 * found[-1]:
            break
        beside.append(length)
        right, last = back / length, right
    return max(found[-1], 0.0) ** 0.5


def _top(diagonal: list[float], beside: list[float]) -> float:
    """Largest eigenvalue of the symmetric tridiagonal matrix."""
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    side = torch.tensor(beside, dtype=torch.float64)
    matrix = matrix + torch.diag(side, 1) + torch.diag(side, -1) if beside else matrix
    return float(torch.linalg.eigvalsh(matrix)[-1])
