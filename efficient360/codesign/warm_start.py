"""The first trials of a search: the model as it came in every runtime, then single knobs turned. They tell at once what each change is worth alone."""

from collections.abc import Iterator, Sequence
from typing import Final

from efficient360.codesign.space import Candidate, Knob, Space
from efficient360.codesign.trial import Origin, State, Trial
from efficient360.codesign.view import Aims, coordinate
from efficient360.core.measurement import Scalar

RUNTIME: Final = "runtime"
"""Name of the knob that chooses how a candidate is run, and leaves the model as it is."""


def turned(candidate: Candidate, knob: str, value: Scalar) -> Candidate:
    """A candidate with one knob at another setting."""
    return Candidate({**candidate.settings, knob: value})


def originals(space: Space) -> list[Candidate]:
    """The model as it came, in each runtime that nothing excludes."""
    runtime = next((knob for knob in space.knobs if knob.name == RUNTIME), None)
    candidates = [space.original] if runtime is None else [turned(space.original, RUNTIME, value) for value in runtime.values]
    return [candidate for candidate in candidates if not space.excluded(candidate)]


def single_steps(space: Space, base: Candidate) -> list[Candidate]:
    """Candidates one knob away from ``base``: one setting of every knob in turn, of ordered knobs the middle one, then the others of knobs without an order."""
    first: list[Candidate] = []
    further: list[Candidate] = []
    for knob in space.knobs:
        if knob.name == RUNTIME or len(knob.values) < 2:
            continue
        steps = [candidate for value in _steps(knob) if not space.excluded(candidate := turned(base, knob.name, value)) and candidate != base]
        first += steps[:1]
        further += steps[1:]
    return first + further


def _steps(knob: Knob) -> Sequence[Scalar]:
    return [knob.values[max(1, len(knob.values) // 2)]] if knob.ordered else knob.values[1:]


def fastest_original(trials: Sequence[Trial], space: Space, what: Aims) -> Candidate:
    """The model as it came in the runtime where its cost is least; in the first one where none could be measured."""
    start = originals(space)
    measured = [t for t in trials if t.candidate in start and t.state is not State.FAILED]
    best = min(measured, key=lambda t: (coordinate(t, what.cost), t.number), default=None)
    return best.candidate if best else (start[0] if start else space.original)


def warm_start(trials: Sequence[Trial], space: Space, what: Aims) -> Iterator[tuple[Candidate, Origin]]:
    """What is tried first, whatever of it was tried already included."""
    yield from ((candidate, Origin.ORIGINAL) for candidate in originals(space))
    yield from ((candidate, Origin.STEP) for candidate in single_steps(space, fastest_original(trials, space, what)))
