"""A threat model: the perturbed images an attacker may use, as a ball in pixel space."""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

import torch
from torch import Tensor

TOLERANCE = 1e-6
"""How far a distance may exceed ε through rounding of float32 pixels."""


class Norm(StrEnum):
    """The norm that a perturbation is measured in."""

    LINF = "linf"
    L2 = "l2"


@final
@dataclass(frozen=True)
class ThreatModel:
    """Every image within ``epsilon`` of the clean one, pixels in [0, 1].

    Args:
        norm: L∞ (largest absolute change of any value) or L2 (Euclidean length of the perturbation over all values of the image).
        epsilon: Radius in pixel space, where an image's values lie in [0, 1]; above 0.
    """

    norm: Norm
    epsilon: float

    @property
    def label(self) -> str:
        """ε in print: in 255ths for L∞ (``4/255``), plain for L2 (``0.5``)."""
        return f"{self.epsilon * 255:.4g}/255" if self.norm is Norm.LINF else f"{self.epsilon:.4g}"

    def project(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """``perturbed`` projected into the ball around ``clean``, then into [0, 1]; both ``(B, 3, H, W)``.

        For L2 the perturbation is rescaled and then clipped, which never lengthens it (the projection that AutoAttack takes).
        """
        if self.norm is Norm.LINF:
            return torch.clamp(torch.min(torch.max(perturbed, clean - self.epsilon), clean + self.epsilon), 0, 1)
        perturbation = perturbed - clean
        length = perturbation.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
        return torch.clamp(clean + perturbation * (self.epsilon / length).clamp(max=1), 0, 1)

    def distance(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Norm of each perturbation, float64 ``(B,)``; both images ``(B, 3, H, W)``."""
        perturbation = (perturbed.double() - clean.double()).flatten(1)
        return perturbation.abs().amax(1) if self.norm is Norm.LINF else perturbation.norm(dim=1)

    def contains(self, perturbed: Tensor, clean: Tensor) -> Tensor:
        """Whether each image lies in the ball and in [0, 1], bool ``(B,)``."""
        in_range = (perturbed >= 0).flatten(1).all(1) & (perturbed <= 1).flatten(1).all(1)
        return in_range & (self.distance(perturbed, clean) <= self.epsilon + TOLERANCE)
