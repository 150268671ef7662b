"""One run of Auto-PGD: projected gradient ascent whose step halves, example by example, when it stops paying."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.methods.adversarial.attack import Found, Subjects, misclassified
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Loss, Victim

MOMENTUM = 0.75
RISING = 0.75
"""A step size is kept where the loss rose in more than this share of the steps since the last checkpoint."""


@final
@dataclass(frozen=True)
class Climb:
    """What to climb, and for how long.

    Args:
        loss: ``loss(logits, *what)``.
        steps: Gradient steps an example.
        what: Tensors of ``R`` rows that the loss takes beside the logits: labels, target classes.
        who: Which example each of the ``R`` runs belongs to, int64 ``(R,)``; all runs of an example end when one of them succeeds.
    """

    loss: Loss
    steps: int
    what: tuple[Tensor, ...]
    who: Tensor


@dataclass
class _State:
    """What the examples that still climb carry along; the first dimension of everything is the example."""

    place: Tensor
    what: tuple[Tensor, ...]
    origin: Tensor
    now: Tensor
    before: Tensor
    gradient: Tensor
    loss: Tensor
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    checked_loss: Tensor
    rises: Tensor
    step: Tensor
    halved: Tensor

    def keep(self, rows: Tensor) -> None:
        for name, value in vars(self).items():
            setattr(self, name, tuple(one[rows] for one in value) if isinstance(value, tuple) else value[rows])


def ascend(victim: Victim, threat: Threat, subjects: Subjects, start: Tensor, climb: Climb) -> Found:
    """Climb from ``start`` until an example is misclassified or its steps are spent (Croce & Hein 2020, algorithm 1).

    Step size, checkpoints and returns to the best point are each example's own. An example that fell climbs no further.

    Args:
        victim: What is attacked.
        threat: Ball to stay in, L∞ or L2.
        subjects: Examples under attack.
        start: Where each run begins, ``(R, 3, H, W)`` within the threat model.
        climb: Loss and steps.
    """
    found = Found(subjects.images.clone(), torch.zeros(len(subjects), dtype=torch.bool, device=start.device))
    logits, loss, gradient = victim.gradient(start, climb.loss, *climb.what)
    state = _State(
        place=climb.who,
        what=climb.what,
        origin=subjects.images[climb.who],
        now=start,
        before=start,
        gradient=gradient,
        loss=loss,
        best=start,
        best_gradient=gradient,
        best_loss=loss,
        checked_loss=loss,
        rises=torch.zeros_like(loss),
        step=torch.full_like(loss, 2 * threat.epsilon).view(-1, 1, 1, 1),
        halved=torch.ones_like(loss, dtype=torch.bool),
    )
    _take_fallen(state, logits, subjects.labels, found)
    period, least, shrink = (max(int(share * climb.steps), 1) for share in (0.22, 0.06, 0.03))
    since = 0
    for step in range(climb.steps):
        if not len(state.place):
            break
        _move(state, threat, MOMENTUM if step else 1.0)
        earlier = state.loss
        logits, state.loss, state.gradient = victim.gradient(state.now, climb.loss, *state.what)
        state.rises = state.rises + (state.loss > earlier)
        _take_fallen(state, logits, subjects.labels, found)
        _remember_best(state)
        since += 1
        if since == period:
            _check(state, period)
            period, since = max(period - shrink, least), 0
    return found


def _take_fallen(state: _State, logits: Tensor, labels: Tensor, found: Found) -> None:
    wrong = misclassified(logits, labels[state.place])
    if bool(wrong.any()):
        for row in reversed(wrong.nonzero()[:, 0].tolist()):  # of an example's runs the first has the last word
            found.images[state.place[row]], found.fell[state.place[row]] = state.now[row], True
        state.keep(~found.fell[state.place])


def _move(state: _State, threat: Threat, share: float) -> None:
    uphill = state.gradient.sign() if threat.norm is Norm.LINF else _unit(state.gradient)
    ahead = threat.project(state.now + state.step * uphill, state.origin)
    moved = state.now + share * (ahead - state.now) + (1 - share) * (state.now - state.before)
    state.before, state.now = state.now, threat.project(moved, state.origin)


def _remember_best(state: _State) -> None:
    better = state.loss > state.best_loss
    wide = better.view(-1, 1, 1, 1)
    state.best, state.best_gradient = state.now.where(wide, state.best), state.gradient.where(wide, state.best_gradient)
    state.best_loss = state.loss.where(better, state.best_loss)


def _check(state: _State, period: int) -> None:
    """Conditions 1 and 2 of the paper: halve the step, and go back to the best point, where it rose too seldom or nothing came of it."""
    stalled = ~state.halved & (state.checked_loss >= state.best_loss)
    halve = (state.rises <= RISING * period) | stalled
    wide = halve.view(-1, 1, 1, 1)
    state.step = (state.step / 2).where(wide, state.step)
    state.now, state.gradient = state.best.where(wide, state.now), state.best_gradient.where(wide, state.gradient)
    state.halved, state.checked_loss, state.rises = halve, state.best_loss, torch.zeros_like(state.rises)


def _unit(change: Tensor) -> Tensor:
    unit: Tensor = change / (change.flatten(1).norm(dim=1).view(-1, 1, 1, 1) + 1e-12)
    return unit
