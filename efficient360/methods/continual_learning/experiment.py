"""Every method on one stream in one scenario over all seeds: the accuracy matrix of each run. Finished runs are kept on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.errors import Unsupported
from efficient360.evaluator import Deadline
from efficient360.methods.continual_learning.learner import Learner, feature_stream, learner_from
from efficient360.methods.continual_learning.method import Method, RunSetup, TrainingSchedule
from efficient360.methods.continual_learning.results import StreamResults
from efficient360.methods.continual_learning.stream import CHUNK, Scenario, Stream
from efficient360.methods.continual_learning.task_pool import TaskPool
from efficient360.models.model import TorchModel
from efficient360.storage.row_log import RowLog

Matrix = NDArray[np.float64]


def accuracy(learner: Learner, stream: Stream, task: int, learned: int, deadline: Deadline) -> float:
    """Accuracy on a task's test images; 0 for new classes that are not learned yet, which cannot be predicted.

    Args:
        learner: After ``learned`` tasks.
        stream: In the inputs that the learner takes.
        task: 0 for what the checkpoint was trained on, i for the i-th task.
        learned: Number of tasks learned so far.
        deadline: Checked before every forward pass.

    Raises:
        OutOfTime: From the deadline.
    """
    if task > learned and stream.scenario.has_new_classes:
        return 0.0
    test, mask = stream.all_tasks[task].test, stream.output_mask(task, learned).to(learner.device)
    correct = 0
    for positions in np.split(np.arange(len(test)), range(CHUNK, len(test), CHUNK)):
        deadline.check()
        inputs, labels = test.take(positions)
        with torch.no_grad():
            predicted = learner(inputs).masked_fill(~mask, -torch.inf).argmax(1).cpu()
        correct += int((predicted == labels).sum())
    return correct / len(test)


def accuracy_row(learner: Learner, stream: Stream, learned: int, deadline: Deadline) -> list[float]:
    """Accuracy on the original test set and every task after ``learned`` tasks, ``T + 1`` values.

    Raises:
        OutOfTime: From the deadline.
    """
    return [accuracy(learner, stream, task, learned, deadline) for task in range(len(stream.all_tasks))]


def accuracy_matrix(method: Method, setup: RunSetup, before: list[float]) -> Matrix:
    """Accuracy after each task (rows) on each task (columns), ``(T + 1, T + 1)``: row 0 before learning, column 0 on the original test set.

    Args:
        method: How it learns.
        setup: Of the run.
        before: Row 0.

    Raises:
        OutOfTime: From the deadline.
    """
    rows: list[Any] = [before]
    for learned, trained in enumerate(method.learn(setup), 1):
        rows.append(accuracy_row(trained.learner, trained.stream, learned, setup.schedule.deadline))
    return np.array(rows, dtype=np.float64)


@final
class StepCounter:
    """Counts steps and reports progress.

    Args:
        total: Expected number of steps.
        progress: Called with ``(done, total)``.
    """

    def __init__(self, total: int, progress: Callable[[int, int], None]) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def advance(self, steps: int = 1) -> None:
        """Count ``steps`` more."""
        self._done += steps
        self._progress(self._done, self._total)


@final
@dataclass(frozen=True)
class RunBudget:
    """Number of runs and of training steps.

    Args:
        seeds: Runs of each method.
        steps: Steps per task.
        batch: Images per step.
        seed: Of the evaluation; seeds of runs derive from it.
    """

    seeds: int
    steps: int
    batch: int
    seed: int

    def seed_of_run(self, run: int) -> int:
        """The seed of a run: of its order of tasks, and of everything random in it."""
        return int(np.random.default_rng([self.seed, 23, run]).integers(2**31))

    def total_steps(self, stream: Stream, methods: Sequence[Method]) -> int:
        """Training steps of all runs of some methods."""
        return self.seeds * self.steps * sum(method.passes(len(stream.tasks)) for method in methods)


@final
@dataclass(frozen=True)
class StreamExperiment:
    """Every method on one stream in one scenario, over all seeds.

    Args:
        pool: The tasks.
        scenario: One that the pool supports.
        model: Of the checkpoint; every run trains a copy.
        folder: Where finished runs are kept.
        budget: Number of runs and of training steps.
        deadline: Checked before every step.
    """

    pool: TaskPool
    scenario: Scenario
    model: TorchModel
    folder: Path
    budget: RunBudget
    deadline: Deadline

    def stream(self, run: int) -> Stream:
        """The tasks in the order of one run.

        Raises:
            Unsupported: A task has no training or no test images.
        """
        stream = self.pool.build_stream(self.scenario, self.budget.seed_of_run(run))
        for task in stream.tasks:
            if not len(task.training) or not len(task.test):
                message = f"the task {task.name} of {self.pool.title} has {len(task.training)} training and {len(task.test)} test images"
                raise Unsupported("too-few-examples", message, "raise images and tested, or set fewer tasks")
        return stream

    def results(self, methods: Sequence[Method], steps: StepCounter) -> StreamResults:
        """The accuracy matrices of every method and run.

        Raises:
            Unsupported: As :meth:`stream`, or a method does not apply to the network.
            OutOfTime: From the deadline; finished runs are kept.
        """
        first = self.stream(0)
        before = dict(zip((task.name for task in first.all_tasks), accuracy_row(self._new_learner(first), first, 0, self.deadline), strict=True))
        return StreamResults(self.pool.name, self.scenario, len(first.original.test), {method.name: self._runs(method, before, steps) for method in methods})

    def _runs(self, method: Method, before: dict[str, float], steps: StepCounter) -> NDArray[np.float64]:
        side = len(self.stream(0).all_tasks)
        log = RowLog(self.folder / f"{self.scenario}-{method.name}.f64", side * side, "float64")
        log.truncate(len(log))
        steps.advance(min(len(log), self.budget.seeds) * self.budget.steps * method.passes(side - 1))
        for run in range(len(log), self.budget.seeds):
            stream = self.stream(run)
            schedule = TrainingSchedule(self.budget.steps, self.budget.batch, self.budget.seed_of_run(run), self.deadline, steps.advance)
            setup = RunSetup(stream, partial(self._feature_stream, stream), partial(self._new_learner, stream), schedule)
            # Tasks of new classes differ between runs, and their accuracy before learning is 0 by definition.
            first_row = [before.get(task.name, 0.0) for task in stream.all_tasks]
            log.append(accuracy_matrix(method, setup, first_row).reshape(1, -1))
        return log.read(0, self.budget.seeds).reshape(-1, side, side)

    def _new_learner(self, stream: Stream) -> Learner:
        return learner_from(self.model, stream.outputs)

    def _feature_stream(self, stream: Stream) -> Stream:
        return feature_stream(stream, self._new_learner(stream), self.deadline)
