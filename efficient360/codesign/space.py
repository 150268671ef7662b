"""What may be changed of a model: knobs with their settings, and the candidates that they span. Nothing here knows of images, networks or runtimes."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import final

from efficient360.core import canonical
from efficient360.core.measurement import Scalar


@final
@dataclass(frozen=True)
class Knob:
    """One dimension of a space.

    Args:
        name: Stable snake_case name (``runtime``, ``precision``, ``input_size``, ``dropped_blocks``).
        title: As it is shown.
        values: Its settings; the first leaves the model as it is, or is the plainest choice where one has to be made.
        ordered: Whether the settings are steps of one quantity, in order, so that a neighbour is a smaller change.
    """

    name: str
    title: str
    values: tuple[Scalar, ...]
    ordered: bool = False

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) != len(self.values):
            raise ValueError(f"{self.name} needs settings that differ: {self.values}")


@final
@dataclass(frozen=True)
class Candidate:
    """One setting for every knob of a space, in the space's order.

    Args:
        settings: By name of the knob.
    """

    settings: Mapping[str, Scalar]

    def __getitem__(self, knob: str) -> Scalar:
        return self.settings[knob]

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Candidate) and self.key == other.key

    @cached_property
    def key(self) -> str:
        """Digest of the settings, whatever their order."""
        return canonical.digest(sorted(self.settings.items()), "a candidate")


Rule = Callable[[Candidate], str]
"""Why a candidate can't be made, in one sentence; ``""`` where nothing speaks against it. Told before any work is done."""


@final
@dataclass(frozen=True)
class Space:
    """All candidates.

    Args:
        knobs: Its dimensions, each name once.
        rules: What excludes combinations.
        refused: Knobs that were wanted and that this model can't have, with the reason of each.
    """

    knobs: tuple[Knob, ...]
    rules: tuple[Rule, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [knob.name for knob in self.knobs]
        if len(set(names)) != len(names):
            raise ValueError(f"a knob's name stands twice: {names}")

    @property
    def original(self) -> Candidate:
        """The first setting of every knob."""
        return Candidate({knob.name: knob.values[0] for knob in self.knobs})

    @property
    def size(self) -> int:
        """Number of combinations, excluded ones included."""
        count = 1
        for knob in self.knobs:
            count *= len(knob.values)
        return count

    def excluded(self, candidate: Candidate) -> str:
        """Why a candidate can't be made; ``""`` where nothing speaks against it."""
        return next((reason for rule in self.rules if (reason := rule(candidate))), "")

    def changes(self, candidate: Candidate) -> Sequence[tuple[Knob, Scalar]]:
        """The knobs whose setting is not the first, with the setting."""
        return [(knob, candidate[knob.name]) for knob in self.knobs if candidate[knob.name] != knob.values[0]]

    def all(self) -> Iterator[Candidate]:
        """Every candidate that nothing excludes; for small spaces."""
        for settings in itertools.product(*(knob.values for knob in self.knobs)):
            candidate = Candidate(dict(zip((knob.name for knob in self.knobs), settings, strict=True)))
            if not self.excluded(candidate):
                yield candidate
