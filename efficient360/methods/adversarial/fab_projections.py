"""The smallest step onto a hyperplane within the box [0, 1]: where a linear classifier changes its mind."""

import torch
from torch import Tensor

from efficient360.methods.adversarial.threat import Norm


def step_to_hyperplane(points: Tensor, normals: Tensor, values: Tensor, norm: Norm) -> Tensor:
    """The step ``d`` of least norm with ``values + normals · d = 0`` and ``points + d`` in [0, 1], float ``(B, n)``.

    The projection of FAB (Croce & Hein 2020, Minimally distorted adversarial examples). Every value goes towards the hyperplane at a speed of
    its own, 1 in L∞ and the size of its slope in L2, until it meets the box; the time that takes solves one increasing, concave,
    piecewise linear equation, and Newton's method from 0 meets its root exactly, after as many rounds as pieces are passed.
    Where the hyperplane misses the box, the step goes to the box's corner nearest to it. Where there is no slope, it is 0.
    Only the ratio of ``values`` to ``normals`` counts, however small both are. A row does not depend on the others.

    Args:
        points: ``(B, n)`` in [0, 1].
        normals: Slope of the linear function, ``(B, n)``.
        values: The linear function at ``points``, ``(B,)``.
        norm: L∞ or L2.
    """
    largest = normals.abs().amax(1, keepdim=True)
    slopes = normals / largest.where(largest > 0, 1)
    need = values.abs()[:, None] / largest.where(largest > 0, 1)
    way = -values.sign()[:, None] * slopes.sign()
    sizes = slopes.abs()
    speeds = torch.ones_like(sizes) if norm is Norm.LINF else sizes.where(sizes > 0, 1)
    room = (1 - points).where(way > 0, points)
    stopped = room <= 0
    while True:
        gain = (sizes * speeds).where(~stopped, 0).sum(1, keepdim=True)
        rest = need - (sizes * room).where(stopped, 0).sum(1, keepdim=True)
        time = (rest / gain).where(gain > 0, torch.inf)
        further = stopped | (room <= time * speeds)
        if torch.equal(further, stopped):
            return way * torch.minimum(time.clamp(min=0) * speeds, room)
        stopped = further
