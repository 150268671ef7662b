"""What a continual learning method is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

from efficient360.methods.continual_learning.fitting import Course
from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.stream import Stream


@final
@dataclass(frozen=True)
class Study:
    """One stream to be learned once.

    Args:
        stream: The tasks in their order.
        featured: The same stream whose inputs are the checkpoint's features; they are taken once and kept.
        fresh: A new copy of the checkpoint.
        course: How long.
    """

    stream: Stream
    featured: Callable[[], Stream]
    fresh: Callable[[], Learner]
    course: Course


@final
@dataclass(frozen=True)
class Learned:
    """A network after some task, and the stream as that network takes it."""

    learner: Learner
    stream: Stream


class Method(ABC):
    """A way to learn one task after another. Frozen dataclasses: their fields are their settings."""

    name: ClassVar[str]

    def passes(self, tasks: int) -> int:
        """How many tasks' steps it takes in all for a stream of ``tasks``; for progress. Each task once by default.

        Args:
            tasks: Length of the stream.
        """
        return tasks

    @abstractmethod
    def learn(self, study: Study) -> Iterator[Learned]:
        """Learn the tasks in their order, and show the network after each of them, to be looked at before the next is asked for.

        Raises:
            OutOfTime: From the deadline.
        """
