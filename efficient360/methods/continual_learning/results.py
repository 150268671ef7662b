"""From accuracy matrices over seeds to measurements."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Figure
from efficient360.core.measurement import Conditions, Failure, Measurement, Metric, Outcome, Scalar, Status
from efficient360.core.statistics import wilson
from efficient360.methods.continual_learning import transfer
from efficient360.methods.continual_learning.metrics import (
    AVERAGE,
    BACKWARD,
    FORGETTING,
    FORWARD,
    INCREMENTAL,
    INTRANSIGENCE,
    JOINT,
    ORIGINAL,
    PLASTICITY,
    RETENTION,
    SHARE,
)
from efficient360.methods.continual_learning.plain_methods import Joint
from efficient360.methods.continual_learning.scenario import Scenario
from efficient360.methods.continual_learning.seeds import t_interval

READ_OFF: Final[Mapping[Metric, Callable[[transfer.Matrix], float]]] = {
    FORGETTING: transfer.forgetting,
    AVERAGE: transfer.average_accuracy,
    BACKWARD: transfer.backward_transfer,
    PLASTICITY: transfer.plasticity,
    INCREMENTAL: transfer.average_incremental_accuracy,
}


@final
@dataclass(frozen=True)
class Results:
    """All runs on one stream in one scenario.

    Args:
        stream: Name of the stream.
        scenario: Which.
        tested: How many images the original test set has.
        runs: Matrices ``(seeds, T + 1, T + 1)`` by method: row 0 before any learning, column 0 on the original test set.
    """

    stream: str
    scenario: Scenario
    tested: int
    runs: Mapping[str, NDArray[np.float64]]

    @property
    def tasks(self) -> int:
        """How many."""
        return len(next(iter(self.runs.values()))[0]) - 1

    @property
    def others(self) -> list[str]:
        """The methods that learn one task after the other."""
        return [name for name in self.runs if name != Joint.name]

    def given(self, method: str) -> dict[str, Scalar]:
        """Conditions of a method's numbers."""
        return {**self._where, "method": method}

    @property
    def _where(self) -> dict[str, Scalar]:
        return {"stream": self.stream, "scenario": self.scenario.value, "tasks": self.tasks}

    def of(self, method: str, metric: Metric) -> list[float]:
        """One of the metrics that a matrix alone tells, by seed."""
        return [READ_OFF[metric](run[1:, 1:]) for run in self.runs[method]]

    def forward(self, method: str) -> list[float]:
        """Forward transfer by seed."""
        return [transfer.forward_transfer(run[1:, 1:], run[0, 1:]) for run in self.runs[method]]

    def intransigence(self, method: str) -> list[float]:
        """Intransigence by seed, against joint training on the same seed's order."""
        return [transfer.intransigence(run[1:, 1:], joint[1:, 1:]) for run, joint in zip(self.runs[method], self.runs[Joint.name], strict=True)]

    def share(self, method: str) -> list[float] | None:
        """Average accuracy over that of joint training, by seed; ``None`` where joint training learned nothing."""
        pairs = list(zip(self.of(method, AVERAGE), self.of(Joint.name, AVERAGE), strict=True))
        return [mine / joint for mine, joint in pairs] if all(joint > 0 for _, joint in pairs) else None

    def retention(self, method: str) -> list[float] | None:
        """Share of the original accuracy that is left, by seed; ``None`` where there was none."""
        before, after = self.runs[method][:, 0, 0], self.runs[method][:, -1, 0]
        return [float(value) for value in after / before] if before.all() else None

    def outcomes(self, figures: Sequence[Figure]) -> Iterator[Outcome]:
        """Every metric of every method, mean over seeds with its interval; a Failure for what has no value.

        Args:
            figures: To show beside the first.
        """
        before = float(next(iter(self.runs.values()))[0, 0, 0])
        interval = wilson(round(before * self.tested), self.tested)
        yield Measurement(ORIGINAL, before, self.tested, interval, {**self._where, "when": "before"}, extra=tuple(figures))
        for method, runs in self.runs.items():
            given = self.given(method)
            yield _mean(ORIGINAL, [float(v) for v in runs[:, -1, 0]], {**given, "when": "after"})
            kept = self.retention(method)
            yield _mean(RETENTION, kept, given) if kept else _unsupported(RETENTION, given, "knew-nothing", "the checkpoint answered no original image rightly")
        for method in self.others:
            for metric in READ_OFF:
                yield _mean(metric, self.of(method, metric), self.given(method))
        yield from self._forward()
        yield from self._against_joint()

    def _forward(self) -> Iterator[Outcome]:
        if self.scenario.brings_classes:
            message = "outputs of classes that are not learned yet mean nothing, so no earlier task can help them"
            yield _unsupported(FORWARD, self._where, "untrained-outputs", message)
            return
        for method in self.others:
            yield _mean(FORWARD, self.forward(method), self.given(method))

    def _against_joint(self) -> Iterator[Outcome]:
        if Joint.name not in self.runs:
            for metric in (JOINT, SHARE, INTRANSIGENCE):
                message, hint = "joint training was left out, so there is no ceiling to hold anything against", "add joint to the methods"
                yield Failure(Status.UNSUPPORTED, "no-joint", message, hint, metric, self._where)
            return
        yield _mean(JOINT, self.of(Joint.name, AVERAGE), self._where)
        for method in self.others:
            share = self.share(method)
            yield _mean(SHARE, share, self.given(method)) if share else _unsupported(SHARE, self.given(method), "no-ceiling", "joint training learned nothing")
            yield _mean(INTRANSIGENCE, self.intransigence(method), self.given(method))


def _mean(metric: Metric, values: Sequence[float], given: Conditions) -> Measurement:
    return Measurement(metric, float(np.mean(values)), len(values), t_interval(values, metric), given, tuple(values))


def _unsupported(metric: Metric, given: Conditions, code: str, message: str) -> Failure:
    return Failure(Status.UNSUPPORTED, code, message, "", metric, given)
