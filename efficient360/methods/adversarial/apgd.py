"""Auto-PGD, the gradient attacks of AutoAttack: on the cross-entropy, on the logit ratio, and towards one class after another."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.adversarial.ascent import Climb, ascend
from efficient360.methods.adversarial.attack import Attack, Found, Subjects
from efficient360.methods.adversarial.losses import ce, dlr, dlr_targeted, margin_targeted
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Loss, Victim

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
        return ascend(victim, threat, subjects, random_start(threat, subjects, self.name), Climb(ce, self.steps, (subjects.labels,), everyone(subjects)))


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
            return ascend(victim, threat, subjects, start, Climb(margin_targeted, self.steps, (subjects.labels, 1 - subjects.labels), everyone(subjects)))
        return ascend(victim, threat, subjects, start, Climb(dlr, self.steps, (subjects.labels,), everyone(subjects)))


@final
@dataclass(frozen=True)
class ApgdTargeted(Attack):
    """Auto-PGD towards each of the most likely other classes, on the targeted logit ratio; with fewer than 4 classes, on the margin.

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
        # Few examples with all their classes side by side fill a pass that examples alone would leave half empty.
        groups = [everyone(subjects)[start : start + victim.rows] for start in range(0, len(subjects), victim.rows)]
        parts = [self._some(victim, threat, subjects.take(group)) for group in groups]
        return Found(torch.cat([part.images for part in parts]), torch.cat([part.fell for part in parts]))

    def _some(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        loss: Loss = dlr_targeted if victim.num_classes > 3 else margin_targeted
        likely = likely_others(victim, subjects)[:, : self.targets]
        starts = [random_start(threat, subjects, f"{self.name} {rank}") for rank in range(likely.shape[1])]
        who = everyone(subjects).repeat_interleave(likely.shape[1])
        return ascend(victim, threat, subjects, torch.stack(starts, 1).flatten(0, 1), Climb(loss, self.steps, (subjects.labels[who], likely.flatten()), who))


def everyone(subjects: Subjects) -> Tensor:
    """Positions of all examples, int64 ``(B,)``."""
    return torch.arange(len(subjects), device=subjects.images.device)


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
