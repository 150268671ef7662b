"""Auto-PGD, the gradient attacks of AutoAttack: on the cross-entropy, on the logit ratio, and towards one class after another."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.methods.adversarial.attack import Attack, AttackBatch, AttackResult, misclassified, most_likely_other_classes, run_in_groups
from efficient360.methods.adversarial.losses import ce, dlr, dlr_targeted, margin_targeted
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Loss, Victim

BOTH = frozenset({Norm.LINF, Norm.L2})
PAPER = "Croce & Hein 2020, Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks"
MOMENTUM = 0.75
RHO = 0.75
"""A step size is kept where the loss rose in more than this share of the steps since the last checkpoint (the paper's ρ)."""


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

    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        return auto_pgd(victim, threat, batch, random_start(threat, batch, self.name), Objective(ce, self.steps, (batch.labels,), batch.positions()))


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

    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        start = random_start(threat, batch, self.name)
        objective = Objective(dlr, self.steps, (batch.labels,), batch.positions())
        if victim.num_classes < 3:
            objective = Objective(margin_targeted, self.steps, (batch.labels, 1 - batch.labels), batch.positions())
        return auto_pgd(victim, threat, batch, start, objective)


@final
@dataclass(frozen=True)
class ApgdTargeted(Attack):
    """Auto-PGD towards each of the most likely other classes, on the targeted logit ratio; with fewer than 4 classes, on the margin.

    Args:
        steps: Gradient steps an example and class.
        targets: Target classes, the most likely first.
    """

    name: ClassVar[str] = "apgd-t"
    title: ClassVar[str] = "APGD-T"
    source: ClassVar[str] = PAPER
    gradients: ClassVar[bool] = True
    norms: ClassVar[frozenset[Norm]] = BOTH
    steps: int = 100
    targets: int = 9

    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        return run_in_groups(batch, victim.rows, lambda group: self._attack(victim, threat, group))

    def _attack(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        loss: Loss = dlr_targeted if victim.num_classes > 3 else margin_targeted
        targets = most_likely_other_classes(victim, batch)[:, : self.targets]
        starts = [random_start(threat, batch, f"{self.name} {rank}") for rank in range(targets.shape[1])]
        example = batch.positions().repeat_interleave(targets.shape[1])
        objective = Objective(loss, self.steps, (batch.labels[example], targets.flatten()), example)
        return auto_pgd(victim, threat, batch, torch.stack(starts, 1).flatten(0, 1), objective)


def random_start(threat: ThreatModel, batch: AttackBatch, salt: str) -> Tensor:
    """A random image at distance ε of each clean one, clipped to [0, 1], as AutoAttack starts."""
    draw = np.stack([_direction(threat, generator, tuple(batch.images.shape[1:])) for generator in batch.generators(salt)])
    return torch.clamp(batch.images + threat.epsilon * torch.from_numpy(draw).to(batch.images), 0, 1)


def _direction(threat: ThreatModel, generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    if threat.norm is Norm.LINF:
        inside = generator.uniform(-1, 1, shape)
        corner: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = inside / np.abs(inside).max()
        return corner
    normal = generator.standard_normal(shape)
    direction: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = normal / np.linalg.norm(normal)
    return direction


@final
@dataclass(frozen=True)
class Objective:
    """What a run of Auto-PGD maximises, and for how long.

    Args:
        loss: ``loss(logits, *args)``.
        steps: Gradient steps an example.
        args: Tensors of ``R`` rows that the loss takes beside the logits: labels, target classes.
        example: Which example each of the ``R`` runs belongs to, int64 ``(R,)``; all runs of an example end when one of them succeeds.
    """

    loss: Loss
    steps: int
    args: tuple[Tensor, ...]
    example: Tensor


@dataclass
class _State:
    """The runs that are still going; the first dimension of every tensor is the run."""

    example: Tensor
    args: tuple[Tensor, ...]
    clean: Tensor
    current: Tensor
    previous: Tensor
    gradient: Tensor
    loss: Tensor
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    checkpoint_loss: Tensor
    rises: Tensor
    step: Tensor
    halved: Tensor

    def keep(self, rows: Tensor) -> None:
        for name, value in vars(self).items():
            setattr(self, name, tuple(arg[rows] for arg in value) if isinstance(value, tuple) else value[rows])


def auto_pgd(victim: Victim, threat: ThreatModel, batch: AttackBatch, start: Tensor, objective: Objective) -> AttackResult:
    """Projected gradient ascent with adaptive step size until an example is misclassified or its steps are spent (Croce & Hein 2020, algorithm 1).

    Step size, checkpoints and restarts from the best point are each run's own. All runs of an example end once one succeeds.

    Args:
        victim: The model under attack.
        threat: Ball to stay in, L∞ or L2.
        batch: Examples under attack.
        start: Where each run begins, ``(R, 3, H, W)`` within the threat model.
        objective: Loss and steps.
    """
    result = AttackResult(batch.images.clone(), torch.zeros(len(batch), dtype=torch.bool, device=start.device))
    logits, loss, gradient = victim.gradient(start, objective.loss, *objective.args)
    state = _State(
        example=objective.example,
        args=objective.args,
        clean=batch.images[objective.example],
        current=start,
        previous=start,
        gradient=gradient,
        loss=loss,
        best=start,
        best_gradient=gradient,
        best_loss=loss,
        checkpoint_loss=loss,
        rises=torch.zeros_like(loss),
        step=torch.full_like(loss, 2 * threat.epsilon).view(-1, 1, 1, 1),
        halved=torch.ones_like(loss, dtype=torch.bool),
    )
    _collect_successes(state, logits, batch.labels, result)
    period, shortest, shrink = (max(int(share * objective.steps), 1) for share in (0.22, 0.06, 0.03))
    since = 0
    for step in range(objective.steps):
        if not len(state.example):
            break
        _step(state, threat, MOMENTUM if step else 1.0)
        earlier = state.loss
        logits, state.loss, state.gradient = victim.gradient(state.current, objective.loss, *state.args)
        state.rises = state.rises + (state.loss > earlier)
        _collect_successes(state, logits, batch.labels, result)
        _remember_best(state)
        since += 1
        if since == period:
            _checkpoint(state, period)
            period, since = max(period - shrink, shortest), 0
    return result


def _collect_successes(state: _State, logits: Tensor, labels: Tensor, result: AttackResult) -> None:
    wrong = misclassified(logits, labels[state.example])
    if bool(wrong.any()):
        for row in reversed(wrong.nonzero()[:, 0].tolist()):  # of an example's runs the first has the last word
            result.images[state.example[row]], result.success[state.example[row]] = state.current[row], True
        state.keep(~result.success[state.example])


def _step(state: _State, threat: ThreatModel, alpha: float) -> None:
    ascent = state.gradient.sign() if threat.norm is Norm.LINF else _unit(state.gradient)
    ahead = threat.project(state.current + state.step * ascent, state.clean)
    moved = state.current + alpha * (ahead - state.current) + (1 - alpha) * (state.current - state.previous)
    state.previous, state.current = state.current, threat.project(moved, state.clean)


def _remember_best(state: _State) -> None:
    better = state.loss > state.best_loss
    wide = better.view(-1, 1, 1, 1)
    state.best, state.best_gradient = state.current.where(wide, state.best), state.gradient.where(wide, state.best_gradient)
    state.best_loss = state.loss.where(better, state.best_loss)


def _checkpoint(state: _State, period: int) -> None:
    """Conditions 1 and 2 of the paper: halve the step and restart from the best point where the loss rose too seldom or did not improve."""
    stalled = ~state.halved & (state.checkpoint_loss >= state.best_loss)
    halve = (state.rises <= RHO * period) | stalled
    wide = halve.view(-1, 1, 1, 1)
    state.step = (state.step / 2).where(wide, state.step)
    state.current, state.gradient = state.best.where(wide, state.current), state.best_gradient.where(wide, state.gradient)
    state.halved, state.checkpoint_loss, state.rises = halve, state.best_loss, torch.zeros_like(state.rises)


def _unit(gradient: Tensor) -> Tensor:
    unit: Tensor = gradient / (gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-12)
    return unit
