"""One candidate that a search tried: what was measured of it, and how far it came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from efficient360.codesign.problem import Effort, Measured
from efficient360.codesign.space import Candidate
from efficient360.core.measurement import Failure


class Origin(StrEnum):
    """Who proposed a candidate."""

    ORIGINAL = "original"
    """The model as it came, in one of its runtimes."""
    EARLIER = "earlier search"
    """Measured by a search with other goals in the same folder."""
    STEP = "single step"
    """One knob turned."""
    MODEL = "model"
    """What Gaussian processes expect most of."""
    OPTUNA = "optuna"
    """Optuna's Parzen estimator."""
    NEIGHBOUR = "neighbour"
    """One knob away from a good candidate."""
    RANDOM = "random"


class State(StrEnum):
    """How far a candidate came."""

    COMPLETE = "complete"
    """Judged in full."""
    DROPPED = "dropped"
    """Hopeless before it was judged in full."""
    FAILED = "failed"
    """It could not be made, did not answer as it should, or could not be measured."""


@final
@dataclass(frozen=True)
class Trial:
    """One candidate that was tried.

    Args:
        number: From 0, in the order of the search.
        candidate: Which.
        origin: Who proposed it.
        state: How far it came.
        cost: By name of the metric; empty where it failed before.
        quality: By name of the metric; empty where it was dropped or failed before.
        effort: On which examples ``quality`` rests; ``None`` without it.
        reason: Why it was dropped or failed, in one sentence; ``""`` of a complete one.
        failure: The failure of a failed one.
        seconds: Time by kind of work: ``cost`` and ``quality``, or as the problem divides them, and ``search``.
    """

    number: int
    candidate: Candidate
    origin: Origin
    state: State
    cost: Measured = field(default_factory=dict)
    quality: Measured = field(default_factory=dict)
    effort: Effort | None = None
    reason: str = ""
    failure: Failure | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def measured(self) -> Measured:
        """Every measurement, by name of the metric."""
        return {**self.cost, **self.quality}
