"""Experience replay (Chaudhry et al. 2019): a small buffer of earlier images is mixed into every batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from efficient360.methods.continual_learning.method import LearningRates, Method, RunSetup, TrainedLearner, batch_loss, train


class ReplayBuffer(ABC):
    """A buffer of fixed size for images of earlier tasks, by index."""

    @abstractmethod
    def offer(self, item: int, label: int) -> None:
        """Store an item, perhaps in place of another, or drop it.

        Args:
            item: Its index.
            label: Its class.
        """

    @abstractmethod
    def items(self) -> list[int]:
        """The items stored now."""


@final
class ReservoirBuffer(ReplayBuffer):
    """Reservoir sampling: every item offered so far is stored with equal probability (Vitter 1985, algorithm R).

    Args:
        size: The most items, at least 1.
        rng: Of the positions.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size, self._rng = size, rng
        self._items: list[int] = []
        self._offered = 0

    def offer(self, item: int, label: int) -> None:
        """Store the n-th offered item with probability size / n."""
        self._offered += 1
        if len(self._items) < self._size:
            self._items.append(item)
        elif (position := int(self._rng.integers(self._offered))) < self._size:
            self._items[position] = item

    def items(self) -> list[int]:
        """In the order of their positions."""
        return list(self._items)


@final
class ClassBalancedBuffer(ReplayBuffer):
    """As many of each class as possible: a full buffer evicts an item of its largest class (Prabhu et al. 2020, algorithm 1).

    Args:
        size: The most items, at least 1.
        rng: Of the evicted items.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size, self._rng = size, rng
        self._items: dict[int, list[int]] = {}

    def offer(self, item: int, label: int) -> None:
        """Store it unless its class is already the largest one in a full buffer."""
        same_class = self._items.setdefault(label, [])
        if sum(map(len, self._items.values())) >= self._size:
            largest = max(self._items, key=lambda label: (len(self._items[label]), -label))
            if len(self._items[largest]) <= len(same_class):
                return
            candidates = self._items[largest]
            candidates.pop(int(self._rng.integers(len(candidates))))
        same_class.append(item)

    def items(self) -> list[int]:
        """Class by class."""
        return [item for label in sorted(self._items) for item in self._items[label]]


BUFFERS: Final[Mapping[str, Callable[[int, np.random.Generator], ReplayBuffer]]] = {"reservoir": ReservoirBuffer, "balanced": ClassBalancedBuffer}


@final
@dataclass(frozen=True)
class Replay(Method):
    """Fine-tuning of every layer on batches of which half is new and half from a replay buffer.

    The buffer is filled with images that the checkpoint was trained on, where there are any, before the first task.

    Args:
        rates: Learning rates.
        size: Capacity of the buffer in images, at least 1.
        kind: ``reservoir`` or ``balanced``.
    """

    name: ClassVar[str] = "replay"
    rates: LearningRates
    size: int
    kind: str

    def learn(self, setup: RunSetup) -> Iterator[TrainedLearner]:
        """Fine-tune on each task together with the buffer, then offer that task's images to it."""
        learner, stream, schedule = setup.new_learner(), setup.stream, setup.schedule
        rng = np.random.default_rng([schedule.seed, 0])
        buffer: ReplayBuffer = BUFFERS[self.kind](self.size, rng)
        for task in range(len(stream.all_tasks)):
            if task:
                stored = np.array(buffer.items(), dtype=np.int64)

                def loss(indices: NDArray[np.int64], task: int = task, stored: NDArray[np.int64] = stored) -> Tensor:
                    """On new images and as many replayed ones."""
                    replayed = rng.choice(stored, min(len(indices), len(stored)), replace=False)
                    return batch_loss(learner, stream.batch(np.concatenate([indices, replayed]), task))

                train(learner, schedule.minibatches(stream.indices(task), 1, task), loss, self.rates, schedule)
                yield TrainedLearner(learner, stream)
            for item in rng.permutation(stream.indices(task)).tolist():
                buffer.offer(item, stream.label(item))
