"""Auto-PGD, the gradient attacks of AutoAttack: on the cross-entropy, on the logit ratio, and towards one class after another."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.attacks.ascent import Climb, ascend
from efficient360.attacks.attack import Attack, Found, Subjects
from efficient360.attacks.losses import ce, dlr, dlr_targeted, margin_targeted
from efficient360.attacks.threat import Norm, Threat
from efficient360.attacks.victim import Loss, Victim

BOTH = frozenset({Norm.LINF, Norm.L2})
PAPER = "Croce & Hein 2020, Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"


@final
@dataclass(frozen=True)
class ApgdCe(Attack):
    """Auto-PGD on the cross-entropy, from one random start.

    Args:
        steps: Gradient steps an example.
    """

    name: ClassVar[str] = "apgd-ce"
    title: ClassVar[str] = "APGD-CE"
    source: ClassVar[str] = PAPER
    gradients: ClassVar[bool] = True
    norms: ClassVar[frozenset[Norm]] = BOTH
    steps: int = 100

    def run(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        return ascend(victim, threat, subjects, random_start(threat, subjects, self.name), Climb(ce, self.steps, (subjects.labels,)))


@final
@dataclass(frozen=True)
class ApgdDlr(Attack):
    """Auto-PGD on the difference of logits ratio, from one random start. With 2 classes, on the plain margin.

    Args:
        steps: Gradient steps an example.
    """

    name: ClassVar[str] = "apgd-dlr"
    title: ClassVar[str] = "APGD-DLR"
    source: ClassVar[str] = PAPER
    gradients: ClassVar[bool] = True
    norms: ClassVar[frozenset[Norm]] = BOTH
    steps: int = 100

    def run(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        start = random_start(threat, subjects, self.name)
        if victim.num_classes < 3:
            return ascend(victim, threat, subjects, start, Climb(margin_targeted, self.steps, (subjects.labels, 1 - subjects.labels)))
        return ascend(victim, threat, subjects, start, Climb(dlr, self.steps, (subjects.labels,)))


@final
@dataclass(frozen=True)
class ApgdTargeted(Attack):
    """Auto-PGD towards the most likely other classes in turn, on the targeted logit ratio; with fewer than 4 classes, on the margin.

    Args:
        steps: Gradient steps an example and class.
        targets: Classes tried, the most likely first.
    """

    name: ClassVar[str] = "apgd-t"
    title: ClassVar[str] = "APGD-T"
    source: ClassVar[str] = PAPER
    gradients: ClassVar[bool] = True
    norms: ClassVar[frozenset[Norm]] = BOTH
    steps: int = 100
    targets: int = 9

    def run(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        loss: Loss = dlr_targeted if victim.num_classes > 3 else margin_targeted
        likely = likely_others(victim, subjects)
        images, fell = subjects.images.clone(), torch.zeros(len(subjects), dtype=torch.bool, device=subjects.images.device)
        for rank in range(min(self.targets, victim.num_classes - 1)):
            left = (~fell).nonzero()[:, 0]
            if not len(left):
                break
            standing = subjects.take(left)
            climb = Climb(loss, self.steps, (standing.labels, likely[left, rank]))
            found = ascend(victim, threat, standing, random_start(threat, standing, f"{self.name} {rank}"), climb)
            images[left[found.fell]], fell[left[found.fell]] = found.images[found.fell], True
        return Found(images, fell)


def likely_others(victim: Victim, subjects: Subjects) -> Tensor:
    """Classes other than the label by falling clean logit, int64 ``(B, K - 1)``."""
    logits = victim.logits(subjects.images).scatter(1, subjects.labels[:, None], float("-inf"))
    return logits.argsort(dim=1, descending=True, stable=True)[:, :-1]


def random_start(threat: Threat, subjects: Subjects, salt: str) -> Tensor:
    """A random image at distance ε of each clean one, clipped to [0, 1], as AutoAttack starts."""
    draw = np.stack([_direction(threat, generator, tuple(subjects.images.shape[1:])) for generator in subjects.generators(salt)])
    return torch.clamp(subjects.images + threat.epsilon * torch.from_numpy(draw).to(subjects.images), 0, 1)


def _direction(threat: Threat, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    if threat.norm is Norm.LINF:
        inside = generator.uniform(-1, 1, shape)
        corner: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = inside / np.abs(inside).max()
        return corner
    normal = generator.standard_normal(shape)
    direction: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = normal / np.linalg.norm(normal)
    return direction
