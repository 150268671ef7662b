"""What a continual learning method is, and the training that methods share: deterministic, and without touching the global random state."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.evaluator import Deadline
from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.stream import Stream, TrainingBatch

CLIP: Final = 1.0
"""Largest L2 norm of a step's gradient."""


@final
@dataclass(frozen=True)
class TrainingSchedule:
    """How long and in which order each task is trained.

    Args:
        steps: Steps per task, at least 1.
        batch: Images per step, at least 1.
        seed: Of the order of images and of everything else that is random.
        deadline: Checked before every step.
        tick: Called after every step.
    """

    steps: int
    batch: int
    seed: int
    deadline: Deadline
    tick: Callable[[], None]

    def minibatches(self, pool: NDArray[np.int64], tasks: int, task: int) -> Iterator[NDArray[np.int64]]:
        """The images of each step: reshuffled passes over the pool.

        Args:
            pool: Indices of images, at least one.
            tasks: How many tasks' steps to take.
            task: Number of the task, from 1: each has its own order.
        """
        rng = np.random.default_rng([self.seed, task])
        wanted = tasks * self.steps * self.batch
        passes = np.concatenate([rng.permutation(pool) for _ in range(-(-wanted // len(pool)))])[:wanted]
        yield from passes.reshape(-1, self.batch)


@final
@dataclass(frozen=True)
class LearningRates:
    """Constant learning rates.

    Args:
        body: Of the backbone, or of its adapters.
        head: Of the linear head, whose new outputs start from zeros.
    """

    body: float
    head: float


def train(
    learner: Learner, minibatches: Iterator[NDArray[np.int64]], loss: Callable[[NDArray[np.int64]], Tensor], rates: LearningRates, schedule: TrainingSchedule
) -> None:
    """A step of Adam (Kingma & Ba 2015) for every minibatch, on the parameters that require gradients.

    Args:
        learner: Changed in place.
        minibatches: Indices of the images of each step.
        loss: From those indices to a scalar.
        rates: Of backbone and head.
        schedule: For its deadline and its tick.

    Raises:
        OutOfTime: From the deadline.
    """
    body, head = ([p for p in module.parameters() if p.requires_grad] for module in (learner.backbone, learner.head))
    trained = [*body, *head]
    optimiser = torch.optim.Adam([{"params": body, "lr": rates.body}, {"params": head, "lr": rates.head}])
    for indices in minibatches:
        schedule.deadline.check()
        optimiser.zero_grad()
        loss(indices).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimiser.step()
        schedule.tick()
    optimiser.zero_grad()


def masked_cross_entropy(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy in nats over a batch, each over the outputs in its mask.

    Args:
        logits: ``(B, K)``.
        labels: ``(B,)``, each in its mask.
        mask: bool ``(B, K)``.
    """
    device = logits.device
    return torch.nn.functional.cross_entropy(logits.masked_fill(~mask.to(device), -torch.inf), labels.to(device))


def batch_loss(learner: Learner, batch: TrainingBatch) -> Tensor:
    """The cross-entropy of a batch."""
    return masked_cross_entropy(learner(batch.inputs), batch.labels, batch.mask)


def stream_loss(learner: Learner, stream: Stream, learned: int) -> Callable[[NDArray[np.int64]], Tensor]:
    """The cross-entropy of images by index while task ``learned`` is being learned."""
    return lambda indices: batch_loss(learner, stream.batch(indices, learned))


@final
@dataclass(frozen=True)
class RunSetup:
    """What a method needs for one run on one stream.

    Args:
        stream: The tasks in their order.
        feature_stream: Gives the same stream with the checkpoint's features as inputs, computed once.
        new_learner: Gives a new copy of the checkpoint.
        schedule: Steps, batch size and seed.
    """

    stream: Stream
    feature_stream: Callable[[], Stream]
    new_learner: Callable[[], Learner]
    schedule: TrainingSchedule


@final
@dataclass(frozen=True)
class TrainedLearner:
    """The learner after a task, and the stream in the inputs that it takes."""

    learner: Learner
    stream: Stream


class Method(ABC):
    """A continual learning method. Frozen dataclasses: their fields are their settings."""

    name: ClassVar[str]

    def passes(self, tasks: int) -> int:
        """For progress: how many tasks' steps it takes in total on a stream of ``tasks``. Each task once by default.

        Args:
            tasks: Length of the stream.
        """
        return tasks

    @abstractmethod
    def learn(self, setup: RunSetup) -> Iterator[TrainedLearner]:
        """Learn the tasks in order, yielding the learner after each; the caller must evaluate it before advancing, as training changes it in place.

        Raises:
            OutOfTime: From the deadline.
        """


def train_sequentially(learner: Learner, stream: Stream, rates: LearningRates, schedule: TrainingSchedule) -> Iterator[TrainedLearner]:
    """Plain training on one task after the other."""
    for task in range(1, len(stream.all_tasks)):
        train(learner, schedule.minibatches(stream.indices(task), 1, task), stream_loss(learner, stream, task), rates, schedule)
        yield TrainedLearner(learner, stream)
