"""Which candidate comes next, from the trials so far and the seed alone."""

import hashlib
from collections.abc import Callable
from typing import Final

from efficient360.codesign.budget import Budget
from efficient360.codesign.neighbours import drawn, neighbour
from efficient360.codesign.optuna_model import modelled
from efficient360.codesign.sampler import Sampler
from efficient360.codesign.space import Candidate, Space
from efficient360.codesign.surrogate_model import expected_best
from efficient360.codesign.trial import Origin, Trial
from efficient360.codesign.view import Aims, View
from efficient360.codesign.warm_start import originals, warm_start

MOST_STEPS: Final = 0.5
"""Share of a budget of trials that single steps may take."""
OTHER_EVERY: Final = 4
"""Every so manieth proposal is not the Gaussian processes' but Optuna's, should they be wrong about the space."""
Next = tuple[Candidate, Origin]


def propose(sampler: Sampler, space: Space, what: Aims, trials: tuple[Trial, ...], budget: Budget, seed: int) -> Next | None:
    """The next candidate and who proposes it; ``None`` where every one was tried."""
    number = len(trials)
    view = View(space, what, trials, derived(seed, number))
    if sampler is Sampler.RANDOM:
        return _named(drawn(view), Origin.RANDOM)
    if (first := _first(view, budget)) is not None:
        return first
    turns: tuple[Callable[[], Next | None], ...] = (
        lambda: _named(expected_best(view), Origin.MODEL),
        lambda: _named(modelled(view), Origin.OPTUNA),
        lambda: _named(neighbour(view), Origin.NEIGHBOUR),
        lambda: _named(drawn(view), Origin.RANDOM),
    )
    if number % OTHER_EVERY == 0:
        turns = turns[1:]
    return next((proposal for turn in turns if (proposal := turn()) is not None), None)


def derived(seed: int, number: int) -> int:
    """The seed of one proposal: of 32 bits."""
    return int.from_bytes(hashlib.sha256(f"codesign {seed} {number}".encode()).digest()[:4])


def _first(view: View, budget: Budget) -> Next | None:
    tried = view.tried
    for candidate, origin in warm_start(view.trials, view.space, view.aims):
        if candidate not in tried and (origin is Origin.ORIGINAL or _room(view, budget)):
            return candidate, origin
    return None


def _room(view: View, budget: Budget) -> bool:
    """Whether single steps have used less than their share of the budget."""
    steps = [trial for trial in view.trials if trial.origin is Origin.STEP]
    if budget.trials is not None and len(steps) >= MOST_STEPS * (budget.trials - len(originals(view.space))):
        return False
    return budget.seconds is None or sum(sum(trial.seconds.values()) for trial in steps) < MOST_STEPS * budget.seconds


def _named(candidate: Candidate | None, origin: Origin) -> Next | None:
    return None if candidate is None else (candidate, origin)
