"""The contract between the search and what is searched: a space, and how one candidate is measured. The search knows nothing of images or networks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, final

from efficient360.codesign.space import Candidate, Space
from efficient360.core.measurement import Failure, Measurement, Metric

Measured = Mapping[str, Measurement]
"""Measurements by name of the metric."""


class Effort(StrEnum):
    """On how many examples quality is judged."""

    QUICK = "quick"
    """Few examples of the selection part, to drop what is hopeless."""
    FULL = "full"
    """The whole selection part."""


@final
@dataclass(frozen=True)
class Confirmed:
    """A candidate measured once more, on examples nobody has used, in turns with the baselines.

    Args:
        candidate: Which.
        measured: Every metric that goals may name; :class:`Failure` s by metric are left out of it.
        failure: Why it could not be measured; then ``measured`` is empty.
        facts: What a reader should know: artefact, files, conditions; plain JSON.
        speedups: By name of the baseline: how many times as fast as it the candidate was in the same interleaved run, with its interval.
    """

    candidate: Candidate
    measured: Measured
    failure: Failure | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    speedups: Measured = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Baseline:
    """What candidates are set beside: the model as it came, in one runtime.

    Args:
        name: As it is shown: ``LiteRT fp32``.
        measured: As of a candidate.
        failure: Why it could not be measured; then ``measured`` is empty.
    """

    name: str
    measured: Measured
    failure: Failure | None = None


@final
@dataclass(frozen=True)
class Confirmation:
    """One interleaved run of candidates and baselines.

    Args:
        candidates: In the order asked for.
        baselines: The one that stands for what a user has today first.
    """

    candidates: tuple[Confirmed, ...]
    baselines: tuple[Baseline, ...] = ()


class Problem(ABC):
    """What is searched. Measuring the same candidate again may give other times, never another accuracy."""

    @property
    @abstractmethod
    def space(self) -> Space:
        """What may be changed."""

    @property
    @abstractmethod
    def identity(self) -> str:
        """Digest of all that trials depend on (weights, data, device, code, seed): trials of another identity are never taken up."""

    @property
    @abstractmethod
    def cost_metrics(self) -> Sequence[Metric]:
        """What :meth:`cost` measures; the first is the one to minimise, the others only have to keep their goals."""

    @property
    @abstractmethod
    def quality_metrics(self) -> Sequence[Metric]:
        """What :meth:`quality` measures; the first is the loss against the original, lower is better (``top1_drop``)."""

    @abstractmethod
    def cost(self, candidate: Candidate) -> Measured | Failure:
        """Make the candidate, check that what was made answers as it should, and measure it on the device.

        Returns:
            The cost metrics that could be measured, at least the first; or why there are none (a conversion that fails, a parity gate that is not passed).

        Raises:
            DeviceError: The device as a whole is gone; the search stops, with all trials kept.
        """

    @abstractmethod
    def quality(self, candidate: Candidate, effort: Effort) -> Measured | Failure:
        """Judge a candidate whose cost was measured, on the selection part, in pairs with the original.

        Raises:
            DeviceError: As :meth:`cost`.
        """

    def seconds(self, candidate: Candidate) -> Mapping[str, float]:
        """How the seconds of the last :meth:`cost` or :meth:`quality` of a candidate divide by kind of work (``make``, ``check``, ``measure``, ``judge``);
        what is not told counts under the name of the method.
        """
        return {}

    @abstractmethod
    def confirm(self, candidates: Sequence[Candidate]) -> Confirmation:
        """Measure candidates and baselines once more, their timed blocks taking turns, on examples that neither calibrated, trained nor selected.

        Args:
            candidates: Some that were measured before, the most promising first.

        Returns:
            One :class:`Confirmed` for each candidate in order, and the baselines of the same run.

        Raises:
            DeviceError: As :meth:`cost`.
        """
