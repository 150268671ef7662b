"""From accuracy matrices over seeds to measurements."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.figures import Figure
from efficient360.core.measurement import Conditions, Failure, Interval, Measurement, Metric, Outcome, Scalar, Status
from efficient360.core.statistics import student, wilson, within
from efficient360.methods.continual_learning import forgetting_and_transfer as metrics
from efficient360.methods.continual_learning.forgetting_and_transfer import (
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
from efficient360.methods.continual_learning.naive_frozen_joint import Joint
from efficient360.methods.continual_learning.stream import Scenario

MATRIX_METRICS: Final[Mapping[Metric, Callable[[metrics.Matrix], float]]] = {
    FORGETTING: metrics.forgetting,
    AVERAGE: metrics.average_accuracy,
    BACKWARD: metrics.backward_transfer,
    PLASTICITY: metrics.plasticity,
    INCREMENTAL: metrics.average_incremental_accuracy,
}


@final
@dataclass(frozen=True)
class StreamResults:
    """Accuracy matrices of all runs on one stream in one scenario.

    Args:
        stream: Name of the stream.
        scenario: Of the stream.
        tested: Size of the original test set.
        runs: Matrices ``(seeds, T + 1, T + 1)`` by method: row 0 before learning, column 0 on the original test set.
    """

    stream: str
    scenario: Scenario
    tested: int
    runs: Mapping[str, NDArray[np.float64]]

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(next(iter(self.runs.values()))[0]) - 1

    @property
    def sequential_methods(self) -> list[str]:
        """All methods but joint training."""
        return [name for name in self.runs if name != Joint.name]

    def conditions(self, method: str) -> dict[str, Scalar]:
        """Conditions of a method's measurements."""
        return {**self._stream_conditions, "method": method}

    @property
    def _stream_conditions(self) -> dict[str, Scalar]:
        return {"stream": self.stream, "scenario": self.scenario.value, "tasks": self.tasks}

    def values(self, method: str, metric: Metric) -> list[float]:
        """A metric of the matrix alone, by seed."""
        return [MATRIX_METRICS[metric](run[1:, 1:]) for run in self.runs[method]]

    def forward_transfer(self, method: str) -> list[float]:
        """Forward transfer by seed."""
        return [metrics.forward_transfer(run[1:, 1:], run[0, 1:]) for run in self.runs[method]]

    def intransigence(self, method: str) -> list[float]:
        """Intransigence by seed, against joint training on the same seed's order."""
        return [metrics.intransigence(run[1:, 1:], joint[1:, 1:]) for run, joint in zip(self.runs[method], self.runs[Joint.name], strict=True)]

    def share_of_joint(self, method: str) -> list[float] | None:
        """Average accuracy over that of joint training, by seed; ``None`` where joint training learned nothing."""
        pairs = list(zip(self.values(method, AVERAGE), self.values(Joint.name, AVERAGE), strict=True))
        return [accuracy / joint for accuracy, joint in pairs] if all(joint > 0 for _, joint in pairs) else None

    def retention(self, method: str) -> list[float] | None:
        """Share of the original accuracy that is retained, by seed; ``None`` where it was 0."""
        before, after = self.runs[method][:, 0, 0], self.runs[method][:, -1, 0]
        return [float(value) for value in after / before] if before.all() else None

    def outcomes(self, figures: Sequence[Figure]) -> Iterator[Outcome]:
        """Every metric of every method, mean over seeds with its interval; a Failure for what has no value.

        Args:
            figures: Attached to the first measurement.
        """
        before = float(next(iter(self.runs.values()))[0, 0, 0])
        interval = wilson(round(before * self.tested), self.tested)
        yield Measurement(ORIGINAL, before, self.tested, interval, {**self._stream_conditions, "when": "before"}, extra=tuple(figures))
        for method, runs in self.runs.items():
            conditions = self.conditions(method)
            yield _mean(ORIGINAL, [float(v) for v in runs[:, -1, 0]], {**conditions, "when": "after"})
            kept = self.retention(method)
            yield (
                _mean(RETENTION, kept, conditions)
                if kept
                else _unsupported(RETENTION, conditions, "knew-nothing", "the checkpoint classified no original image correctly")
            )
        for method in self.sequential_methods:
            for metric in MATRIX_METRICS:
                yield _mean(metric, self.values(method, metric), self.conditions(method))
        yield from self._forward()
        yield from self._against_joint()

    def _forward(self) -> Iterator[Outcome]:
        if self.scenario.has_new_classes:
            message = "outputs of classes that are not learned yet are untrained, so earlier tasks cannot transfer to them"
            yield _unsupported(FORWARD, self._stream_conditions, "untrained-outputs", message)
            return
        for method in self.sequential_methods:
            yield _mean(FORWARD, self.forward_transfer(method), self.conditions(method))

    def _against_joint(self) -> Iterator[Outcome]:
        if Joint.name not in self.runs:
            for metric in (JOINT, SHARE, INTRANSIGENCE):
                message, hint = "joint training was left out, so there is no upper bound to compare with", "add joint to the methods"
                yield Failure(Status.UNSUPPORTED, "no-joint", message, hint, metric, self._stream_conditions)
            return
        yield _mean(JOINT, self.values(Joint.name, AVERAGE), self._stream_conditions)
        for method in self.sequential_methods:
            share = self.share_of_joint(method)
            yield (
                _mean(SHARE, share, self.conditions(method))
                if share
                else _unsupported(SHARE, self.conditions(method), "no-ceiling", "joint training learned nothing")
            )
            yield _mean(INTRANSIGENCE, self.intransigence(method), self.conditions(method))


def _mean(metric: Metric, values: Sequence[float], conditions: Conditions) -> Measurement:
    return Measurement(metric, float(np.mean(values)), len(values), t_interval(values, metric), conditions, tuple(values))


def _unsupported(metric: Metric, conditions: Conditions, code: str, message: str) -> Failure:
    return Failure(Status.UNSUPPORTED, code, message, "", metric, conditions)


INTERVAL_METHOD = "student-t over seeds"


def t_interval(values: Sequence[float], metric: Metric) -> Interval:
    """Student's t interval of a mean over independent repeats (Student 1908), clipped to the metric's bounds.

    Args:
        values: At least two.
        metric: Gives the bounds.
    """
    mean, clipped = float(np.mean(values)), within(student(np.asarray(values), INTERVAL_METHOD), metric)
    return Interval(min(clipped.low, mean), max(clipped.high, mean), INTERVAL_METHOD)
