"""Local refinement: what stands one knob away from the best trials."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from efficient360.codesign.space import Candidate, Space
from efficient360.codesign.trial import Trial
from efficient360.codesign.view import View, front_of, ranked
from efficient360.codesign.warm_start import turned

BASES: Final = 4
"""Best-ranked trials whose neighbours are tried."""


def neighbours(space: Space, candidate: Candidate) -> Iterator[Candidate]:
    """Candidates one knob away that nothing excludes: of ordered knobs the next settings, of others all."""
    for knob in space.knobs:
        at = knob.values.index(candidate[knob.name])
        near = knob.values[max(0, at - 1) : at + 2] if knob.ordered else knob.values
        for value in near:
            other = turned(candidate, knob.name, value)
            if value != candidate[knob.name] and not space.excluded(other):
                yield other


def bases(view: View) -> list[Trial]:
    """Trials whose neighbours are worth a trial: the best-ranked ones, then the front."""
    best = ranked(view.trials, view.aims)[:BASES]
    line = front_of(view.trials, view.aims.cost, view.aims.quality, view.aims.side)
    return best + [trial for trial in line if trial not in best]


def neighbour(view: View) -> Candidate | None:
    """An untried neighbour of one of the best trials, drawn at random, the better ones first; ``None`` where all were tried."""
    rng = np.random.default_rng(view.seed)
    tried = view.tried
    for trial in bases(view):
        open_ = [candidate for candidate in neighbours(view.space, trial.candidate) if candidate not in tried]
        if open_:
            return open_[int(rng.integers(len(open_)))]
    return None


def drawn(view: View, tries: int = 500) -> Candidate | None:
    """An untried candidate drawn at random; ``None`` where all were tried."""
    rng = np.random.default_rng(view.seed)
    tried = view.tried
    for _ in range(tries):
        candidate = Candidate({knob.name: knob.values[int(rng.integers(len(knob.values)))] for knob in view.space.knobs})
        if candidate not in tried and not view.space.excluded(candidate):
            return candidate
    if view.space.size > MOST_LISTED:
        return None
    left = [candidate for candidate in view.space.all() if candidate not in tried]
    return left[int(rng.integers(len(left)))] if left else None


MOST_LISTED: Final = 200_000
"""Largest space that is listed to find what is left of it."""
