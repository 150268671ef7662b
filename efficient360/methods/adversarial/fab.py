"""FAB-T, the gradient attack of AutoAttack that searches for the nearest adversarial example instead of the worst one in a ball."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from efficient360.methods.adversarial.attack import Attack, AttackBatch, AttackResult, misclassified, most_likely_other_classes, run_in_groups
from efficient360.methods.adversarial.losses import margin_targeted
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim

ALPHA_MAX = 0.1
"""Largest weight of the step from the clean image (the paper's α_max)."""
ETA = 1.05
"""Overshoot: how far a step goes, as a multiple of what reaches the hyperplane (the paper's η)."""
BETA = 0.9
"""Where the next step starts after a misclassified image, on the line from the clean one to it (the paper's β)."""


@final
@dataclass(frozen=True)
class FabTargeted(Attack):
    """FAB towards the most likely other classes, from the clean image, so without any randomness.

    Each class has ``steps`` of its own. An example is done with the first adversarial example within the threat model, whose perturbation is
    not minimised further; of several at the same step, that of the likeliest class counts.

    Args:
        steps: Gradient steps an example and class.
        targets: Target classes, the most likely first.
    """

    name: ClassVar[str] = "fab-t"
    title: ClassVar[str] = "FAB-T"
    source: ClassVar[str] = "Croce & Hein 2020, Minimally distorted adversarial examples with a fast adaptive boundary attack"
    gradients: ClassVar[bool] = True
    norms: ClassVar[frozenset[Norm]] = frozenset({Norm.LINF, Norm.L2})
    steps: int = 100
    targets: int = 9

    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        return run_in_groups(batch, victim.rows, lambda group: self._attack(victim, threat, group))

    def _attack(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        targets = most_likely_other_classes(victim, batch)[:, : self.targets]
        result = AttackResult(batch.images.clone(), torch.zeros(len(batch), dtype=torch.bool, device=targets.device))
        example = batch.positions().repeat_interleave(targets.shape[1])
        target, current = targets.flatten(), batch.images[example]
        for _ in range(self.steps):
            if not len(example):
                break
            clean, labels = batch.images[example], batch.labels[example]
            moved = _step(victim, threat.norm, current, clean, labels, target)
            wrong = misclassified(victim.logits(moved), labels)
            success = wrong & threat.contains(moved, clean)
            for row in reversed(success.nonzero()[:, 0].tolist()):  # from the least likely class to the likeliest, which so has the last word
                result.images[example[row]], result.success[example[row]] = moved[row], True
            # An image that a step leaves where it is never moves again: there was no gradient.
            stuck = ~wrong & (moved == current).flatten(1).all(1)
            current = (clean + BETA * (moved - clean)).where(wrong.view(-1, 1, 1, 1), moved)
            keep = ~result.success[example] & ~stuck
            example, target, current = example[keep], target[keep], current[keep]
        return result


def _step(victim: Victim, norm: Norm, current: Tensor, clean: Tensor, labels: Tensor, target: Tensor) -> Tensor:
    """One step (Croce & Hein 2020, algorithm 1): past the linearised boundary, biased towards the clean image; all images ``(P, 3, H, W)``."""
    _, value, slope = victim.gradient(current, margin_targeted, labels, target)
    # The projections of the current and of the clean image, stacked: so no sum ever has a single row, which torch may add up in another order.
    points = torch.cat([current, clean]).flatten(1)
    normals = torch.cat([slope, slope]).flatten(1)
    values = torch.cat([value, value]) + (normals * (points - torch.cat([current, current]).flatten(1))).sum(1)
    step = project_onto_hyperplane(points, normals, values, norm)
    length = (step.abs().amax(1) if norm is Norm.LINF else step.norm(dim=1)).clamp(min=1e-8)
    from_current, from_clean = length.chunk(2)
    alpha = (from_current / (from_current + from_clean)).clamp(max=ALPHA_MAX).view(-1, 1, 1, 1)
    current_step, clean_step = (points + ETA * step).view(2, *current.shape)
    return torch.clamp(current_step + alpha * (clean_step - current_step), 0, 1)


def project_onto_hyperplane(points: Tensor, normals: Tensor, values: Tensor, norm: Norm) -> Tensor:
    """The step ``d`` of least norm with ``values + normals · d = 0`` and ``points + d`` in the box [0, 1], float ``(B, n)``.

    The projection of FAB (Croce & Hein 2020, Minimally distorted adversarial examples). Every coordinate moves towards the hyperplane at a
    speed of its own, 1 in L∞ and the size of its slope in L2, until it meets the box; the time this takes solves one increasing, concave,
    piecewise linear equation, and Newton's method from 0 meets its root exactly, after as many rounds as pieces are passed.
    Where the hyperplane misses the box, the step goes to the box's corner nearest to it. Where there is no slope, it is 0.
    Only the ratio of ``values`` to ``normals`` matters, however small both are. Rows are independent of one another.

    Args:
        points: ``(B, n)`` in [0, 1].
        normals: Slope of the linear function, ``(B, n)``.
        values: The linear function at ``points``, ``(B,)``.
        norm: L∞ or L2.
    """
    largest = normals.abs().amax(1, keepdim=True)
    slopes = normals / largest.where(largest > 0, 1)
    required = values.abs()[:, None] / largest.where(largest > 0, 1)
    direction = -values.sign()[:, None] * slopes.sign()
    magnitudes = slopes.abs()
    speeds = torch.ones_like(magnitudes) if norm is Norm.LINF else magnitudes.where(magnitudes > 0, 1)
    room = (1 - points).where(direction > 0, points)
    stopped = room <= 0
    while True:
        gain = (magnitudes * speeds).where(~stopped, 0).sum(1, keepdim=True)
        remaining = required - (magnitudes * room).where(stopped, 0).sum(1, keepdim=True)
        time = (remaining / gain).where(gain > 0, torch.inf)
        reached = stopped | (room <= time * speeds)
        if torch.equal(reached, stopped):
            return direction * torch.minimum(time.clamp(min=0) * speeds, room)
        stopped = reached
