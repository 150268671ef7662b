"""The methods that do nothing against forgetting: the floor, and the ceiling that sees everything at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from efficient360.methods.continual_learning.fitting import Course, Rates, fit, stream_loss
from efficient360.methods.continual_learning.learner import Learner, head_only
from efficient360.methods.continual_learning.lora import adapt
from efficient360.methods.continual_learning.method import Learned, Method, Study
from efficient360.methods.continual_learning.stream import Stream


@final
@dataclass(frozen=True)
class Naive(Method):
    """Plain fine-tuning of every layer on one task after the other.

    Args:
        rates: Of learning.
    """

    name: ClassVar[str] = "naive"
    rates: Rates

    def learn(self, study: Study) -> Iterator[Learned]:
        """Fine-tune every layer, task after task."""
        yield from _in_turn(study.fresh(), study.stream, self.rates, study.course)


@final
@dataclass(frozen=True)
class Frozen(Method):
    """A linear head alone, on the checkpoint's features, one task after the other.

    Args:
        rates: Of learning.
    """

    name: ClassVar[str] = "frozen"
    rates: Rates

    def learn(self, study: Study) -> Iterator[Learned]:
        """Fit the head on features, task after task."""
        yield from _in_turn(head_only(study.fresh()), study.featured(), self.rates, study.course)


@final
@dataclass(frozen=True)
class Lora(Method):
    """Low-rank adapters (Hu et al. 2022) in every linear layer, and the head; all else is frozen.

    Args:
        rates: Of learning.
        rank: Of the adapters, at least 1.
    """

    name: ClassVar[str] = "lora"
    rates: Rates
    rank: int

    def learn(self, study: Study) -> Iterator[Learned]:
        """Put the adapters in, then fine-tune them and the head, task after task."""
        learner = study.fresh()
        adapt(learner.backbone, self.rank, study.course.seed)
        yield from _in_turn(learner, study.stream, self.rates, study.course)


@final
@dataclass(frozen=True)
class Joint(Method):
    """Every layer anew from the checkpoint on all tasks so far at once, the checkpoint's own training images among them: the ceiling.

    As many steps as there are tasks in it, so that a task is seen as often as when it is learned alone.

    Args:
        rates: Of learning.
    """

    name: ClassVar[str] = "joint"
    rates: Rates

    def passes(self, tasks: int) -> int:
        """Every task again in each later one, and the checkpoint's own images in all of them."""
        return tasks * (tasks + 3) // 2

    def learn(self, study: Study) -> Iterator[Learned]:
        """Begin from the checkpoint anew for every task, with all tasks so far."""
        stream, course = study.stream, study.course
        for number in range(1, len(stream.homes)):
            learner = study.fresh()
            together = [numbers for numbers in map(stream.numbers, range(number + 1)) if len(numbers)]
            draws = course.draws(np.concatenate(together), len(together), number)
            fit(learner, draws, stream_loss(learner, stream, number), self.rates, course)
            yield Learned(learner, stream)


def _in_turn(learner: Learner, stream: Stream, rates: Rates, course: Course) -> Iterator[Learned]:
    for number in range(1, len(stream.homes)):
        fit(learner, course.draws(stream.numbers(number), 1, number), stream_loss(learner, stream, number), rates, course)
        yield Learned(learner, stream)
