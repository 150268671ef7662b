"""FAB-T, the gradient attack of AutoAttack that seeks the nearest misclassified image instead of the worst one in a ball."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.methods.adversarial.apgd import likely_others
from efficient360.methods.adversarial.attack import Attack, Found, Subjects, misclassified
from efficient360.methods.adversarial.fab_projections import step_to_hyperplane
from efficient360.methods.adversarial.losses import margin_targeted
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim

PULL = 0.1
"""Largest weight of the step from the clean image (the paper's α_max)."""
OVERSHOOT = 1.05
"""How far a step goes, as a multiple of what reaches the hyperplane (η)."""
BACK = 0.9
"""Where the next step starts after a misclassified image, on the way from the clean one to it (β)."""


@final
@dataclass(frozen=True)
class FabTargeted(Attack):
    """FAB towards the most likely other classes, from the clean image, so without any randomness.

    Each class has ``steps`` of its own. An example is done with the first misclassified image within the threat model, which is not
    made smaller still; of several at the same step, that of the likeliest class counts.

    Args:
        steps: Gradient steps an example and class.
        targets: Classes tried.
    """

    name: ClassVar[str] = "fab-t"
    title: ClassVar[str] = "FAB-T"
    source: ClassVar[str] = "Croce & Hein 2020, Minimally distorted adversarial examples with a fast adaptive boundary attack"
    gradients: ClassVar[bool] = True
    norms: ClassVar[frozenset[Norm]] = frozenset({Norm.LINF, Norm.L2})
    steps: int = 100
    targets: int = 9

    def run(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        # Few examples with all their classes side by side fill a pass that examples alone would leave half empty.
        everyone = torch.arange(len(subjects), device=subjects.images.device)
        groups = [everyone[start : start + victim.rows] for start in range(0, len(subjects), victim.rows)]
        parts = [self._some(victim, threat, subjects.take(group)) for group in groups]
        return Found(torch.cat([part.images for part in parts]), torch.cat([part.fell for part in parts]))

    def _some(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        likely = likely_others(victim, subjects)[:, : self.targets]
        found = Found(subjects.images.clone(), torch.zeros(len(subjects), dtype=torch.bool, device=likely.device))
        place = torch.arange(len(subjects), device=likely.device).repeat_interleave(likely.shape[1])
        target, here = likely.flatten(), subjects.images[place]
        for _ in range(self.steps):
            if not len(place):
                break
            origin, labels = subjects.images[place], subjects.labels[place]
            moved = _move(victim, threat.norm, here, origin, labels, target)
            wrong = misclassified(victim.logits(moved), labels)
            fallen = wrong & threat.allows(moved, origin)
            for row in reversed(fallen.nonzero()[:, 0].tolist()):  # from the least likely class to the likeliest, which so has the last word
                found.images[place[row]], found.fell[place[row]] = moved[row], True
            # An image that a step leaves where it is stays there for ever: there was no gradient.
            stuck = ~wrong & (moved == here).flatten(1).all(1)
            here = (origin + BACK * (moved - origin)).where(wrong.view(-1, 1, 1, 1), moved)
            keep = ~found.fell[place] & ~stuck
            place, target, here = place[keep], target[keep], here[keep]
        return found


def _move(victim: Victim, norm: Norm, here: Tensor, origin: Tensor, labels: Tensor, target: Tensor) -> Tensor:
    """One step (Croce & Hein 2020, algorithm 1): past the linearised boundary, biased towards the clean image; all images ``(P, 3, H, W)``."""
    _, value, slope = victim.gradient(here, margin_targeted, labels, target)
    # The way from here and the way from the clean image, one above the other: so no sum ever has a single row, which torch may add up in another order.
    points = torch.cat([here, origin]).flatten(1)
    normals = torch.cat([slope, slope]).flatten(1)
    values = torch.cat([value, value]) + (normals * (points - torch.cat([here, here]).flatten(1))).sum(1)
    step = step_to_hyperplane(points, normals, values, norm)
    length = (step.abs().amax(1) if norm is Norm.LINF else step.norm(dim=1)).clamp(min=1e-8)
    near, far = length.chunk(2)
    pull = (near / (near + far)).clamp(max=PULL).view(-1, 1, 1, 1)
    ahead, anew = (points + OVERSHOOT * step).view(2, *here.shape)
    return torch.clamp(ahead + pull * (anew - ahead), 0, 1)
