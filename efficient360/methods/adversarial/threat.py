"""A threat model: which perturbed images an attacker may show, in pixel space."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

import torch
from torch import Tensor

TOLERANCE = 1e-6
"""Rounding of float32 pixels that a distance may exceed ε by."""


class Norm(StrEnum):
    """How far one image is from another."""

    LINF = "linf"
    L2 = "l2"


@final
@dataclass(frozen=True)
class Threat:
    """Every image within ``epsilon`` of the clean one, pixels in [0, 1].

    Args:
        norm: L∞ (the largest change of any value) or L2 (the Euclidean length of the change over all values of the image).
        epsilon: Radius in pixel space, where an image's values lie in [0, 1]; above 0.
    """

    norm: Norm
    epsilon: float

    @property
    def label(self) -> str:
        """ε in print: in 255ths for L∞ (``4/255``), plain for L2 (``0.5``)."""
        return f"{self.epsilon * 255:.4g}/255" if self.norm is Norm.LINF else f"{self.epsilon:.4g}"

    def project(self, moved: Tensor, origin: Tensor) -> Tensor:
        """``moved`` brought back into the ball around ``origin``, then into [0, 1]; both ``(B, 3, H, W)``.

        For L2 the change is shortened and then clipped, which never lengthens it (the projection that AutoAttack takes).
        """
        if self.norm is Norm.LINF:
            return torch.clamp(torch.min(torch.max(moved, origin - self.epsilon), origin + self.epsilon), 0, 1)
        change = moved - origin
        length = change.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
        return torch.clamp(origin + change * (self.epsilon / length).clamp(max=1), 0, 1)

    def distance(self, moved: Tensor, origin: Tensor) -> Tensor:
        """How far ``moved`` is from ``origin``, float64 ``(B,)``; both ``(B, 3, H, W)``."""
        change = (moved.double() - origin.double()).flatten(1)
        return change.abs().amax(1) if self.norm is Norm.LINF else change.norm(dim=1)

    def allows(self, moved: Tensor, origin: Tensor) -> Tensor:
        """Whether each image is within the ball and within [0, 1], bool ``(B,)``."""
        inside = (moved >= 0).flatten(1).all(1) & (moved <= 1).flatten(1).all(1)
        return inside & (self.distance(moved, origin) <= self.epsilon + TOLERANCE)
