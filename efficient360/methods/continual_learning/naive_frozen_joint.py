"""Baselines without a remedy against forgetting: naive fine-tuning, a linear probe on the frozen backbone, and joint training, the upper bound."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from efficient360.methods.continual_learning.learner import head_learner
from efficient360.methods.continual_learning.method import LearningRates, Method, RunSetup, TrainedLearner, stream_loss, train, train_sequentially


@final
@dataclass(frozen=True)
class Naive(Method):
    """Plain fine-tuning of every layer on one task after the other.

    Args:
        rates: Learning rates.
    """

    name: ClassVar[str] = "naive"
    rates: LearningRates

    def learn(self, setup: RunSetup) -> Iterator[TrainedLearner]:
        """Fine-tune every layer, task after task."""
        yield from train_sequentially(setup.new_learner(), setup.stream, self.rates, setup.schedule)


@final
@dataclass(frozen=True)
class Frozen(Method):
    """Linear probing: the head alone is trained on the checkpoint's features, one task after the other.

    Args:
        rates: Learning rates.
    """

    name: ClassVar[str] = "frozen"
    rates: LearningRates

    def learn(self, setup: RunSetup) -> Iterator[TrainedLearner]:
        """Fit the head on features, task after task."""
        yield from train_sequentially(head_learner(setup.new_learner()), setup.feature_stream(), self.rates, setup.schedule)


@final
@dataclass(frozen=True)
class Joint(Method):
    """Joint training, the upper bound: all tasks so far at once, the checkpoint's own training images included, starting again from the checkpoint.

    It takes each task's steps, so that a task is seen as often as when it is learned alone.

    Args:
        rates: Learning rates.
    """

    name: ClassVar[str] = "joint"
    rates: LearningRates

    def passes(self, tasks: int) -> int:
        """Every task again with each later one, and the checkpoint's own images with all of them."""
        return tasks * (tasks + 3) // 2

    def learn(self, setup: RunSetup) -> Iterator[TrainedLearner]:
        """Start again from the checkpoint for every task, with all tasks so far."""
        stream, schedule = setup.stream, setup.schedule
        for task in range(1, len(stream.all_tasks)):
            learner = setup.new_learner()
            pools = [indices for indices in map(stream.indices, range(task + 1)) if len(indices)]
            minibatches = schedule.minibatches(np.concatenate(pools), len(pools), task)
            train(learner, minibatches, stream_loss(learner, stream, task), self.rates, schedule)
            yield TrainedLearner(learner, stream)
