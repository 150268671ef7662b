"""Gradient steps on a learner, deterministic and free of the global random state."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.evaluator import Deadline
from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.stream import Drawn, Stream

CLIP: Final = 1.0
"""Largest L2 norm of a step's gradient."""


@final
@dataclass(frozen=True)
class Course:
    """How long one task is learned.

    Args:
        steps: Steps a task, at least 1.
        batch: Images a step, at least 1.
        seed: Of the order of images and of everything else that is drawn.
        deadline: Checked before every step.
        tick: Called after every step.
    """

    steps: int
    batch: int
    seed: int
    deadline: Deadline
    tick: Callable[[], None]

    def draws(self, pool: NDArray[np.int64], tasks: int, number: int) -> Iterator[NDArray[np.int64]]:
        """The images of one step after another: one reshuffled pass over the pool after the other.

        Args:
            pool: Numbers of images, at least one.
            tasks: How many tasks' steps to take.
            number: Of the task, from 1: each has an order of its own.
        """
        rng = np.random.default_rng([self.seed, number])
        wanted = tasks * self.steps * self.batch
        passes = np.concatenate([rng.permutation(pool) for _ in range(-(-wanted // len(pool)))])[:wanted]
        yield from passes.reshape(-1, self.batch)


@final
@dataclass(frozen=True)
class Rates:
    """Learning rates, constant.

    Args:
        body: Of the backbone, or of what is put into it.
        head: Of the linear head, whose new outputs start from nothing.
    """

    body: float
    head: float


def fit(learner: Learner, draws: Iterator[NDArray[np.int64]], loss: Callable[[NDArray[np.int64]], Tensor], rates: Rates, course: Course) -> None:
    """Take a step of Adam (Kingma & Ba 2015) for every draw, on what requires gradients.

    Args:
        learner: Changed in place.
        draws: Numbers of the images of each step.
        loss: From those numbers to a scalar.
        rates: Of backbone and head.
        course: Its deadline and its tick.

    Raises:
        OutOfTime: From the deadline.
    """
    body, head = ([p for p in part.parameters() if p.requires_grad] for part in (learner.backbone, learner.head))
    trained = [*body, *head]
    optimiser = torch.optim.Adam([{"params": body, "lr": rates.body}, {"params": head, "lr": rates.head}])
    for numbers in draws:
        course.deadline.check()
        optimiser.zero_grad()
        loss(numbers).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimiser.step()
        course.tick()
    optimiser.zero_grad()


def answer_loss(logits: Tensor, labels: Tensor, allowed: Tensor) -> Tensor:
    """Mean cross-entropy in nats over a batch, each answer among the outputs allowed to it.

    Args:
        logits: ``(B, K)``.
        labels: ``(B,)``, each among its allowed outputs.
        allowed: bool ``(B, K)``.
    """
    device = logits.device
    return torch.nn.functional.cross_entropy(logits.masked_fill(~allowed.to(device), -torch.inf), labels.to(device))


def plain_loss(learner: Learner, drawn: Drawn) -> Tensor:
    """The cross-entropy of a batch."""
    return answer_loss(learner(drawn.inputs), drawn.labels, drawn.allowed)


def stream_loss(learner: Learner, stream: Stream, learned: int) -> Callable[[NDArray[np.int64]], Tensor]:
    """The cross-entropy of images by their numbers while the ``learned``-th task is being learned."""
    return lambda numbers: plain_loss(learner, stream.take(numbers, learned))
