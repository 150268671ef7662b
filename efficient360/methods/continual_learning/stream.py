"""A stream of tasks, one after the other, behind what the checkpoint knows already."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.methods.continual_learning.inputs import Part
from efficient360.methods.continual_learning.scenario import Scenario


@final
@dataclass(frozen=True)
class Task:
    """One thing to learn.

    Args:
        name: In print: its classes, or the condition of its images.
        outputs: The network's outputs that answer it, ascending.
        training: May be empty for what the checkpoint was trained on.
        test: Not empty.
    """

    name: str
    outputs: tuple[int, ...]
    training: Part
    test: Part


@final
@dataclass(frozen=True)
class Drawn:
    """A batch to learn from.

    Args:
        inputs: ``(B, …)``.
        labels: Outputs, int64 ``(B,)``.
        allowed: Among which outputs the answer is sought, bool ``(B, K)``.
        own: The outputs of each image's own task, bool ``(B, K)``.
    """

    inputs: Tensor
    labels: Tensor
    allowed: Tensor
    own: Tensor


@final
@dataclass(frozen=True)
class Stream:
    """Tasks in the order in which they are learned. A *home* is 0 for what the checkpoint was trained on, and i for the i-th task.

    Args:
        scenario: What is new in a task.
        original: What the checkpoint was trained on.
        tasks: At least one.
        outputs: How many outputs the network has in all.
    """

    scenario: Scenario
    original: Task
    tasks: tuple[Task, ...]
    outputs: int

    @cached_property
    def homes(self) -> tuple[Task, ...]:
        """The original, then the tasks."""
        return (self.original, *self.tasks)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(len(home.training) for home in self.homes)])

    def numbers(self, home: int) -> NDArray[np.int64]:
        """Numbers of a home's training images, which are numbered through all homes."""
        return np.arange(self._starts[home], self._starts[home + 1], dtype=np.int64)

    def label(self, number: int) -> int:
        """The right output for a training image by its number."""
        home = int(np.searchsorted(self._starts, number, side="right")) - 1
        return int(self.homes[home].training.labels[number - self._starts[home]])

    def allowed(self, home: int, learned: int) -> Tensor:
        """Among which outputs the answer to an image is sought, bool ``(K,)``.

        Args:
            home: Where the image is from.
            learned: How many tasks are learned, or being learned.
        """
        found = torch.zeros(self.outputs, dtype=torch.bool)
        homes = range(learned + 1) if self.scenario is Scenario.CLASS else (home,)
        for one in homes:
            found[list(self.homes[one].outputs)] = True
        return found

    def take(self, numbers: NDArray[np.int64], learned: int) -> Drawn:
        """Training images by their numbers, at least one, while the ``learned``-th task is being learned."""
        homes = np.searchsorted(self._starts, numbers, side="right") - 1
        present = np.unique(homes).tolist()
        taken = {home: self.homes[home].training.take(numbers[homes == home] - self._starts[home]) for home in present}
        order = torch.from_numpy(np.argsort(np.concatenate([np.flatnonzero(homes == home) for home in present]), kind="stable"))
        counts = torch.tensor([len(taken[home][1]) for home in present])
        allowed = torch.stack([self.allowed(home, learned) for home in present])
        own = torch.stack([self._own(home) for home in present])
        spread = torch.repeat_interleave(torch.arange(len(present)), counts)
        return Drawn(
            torch.cat([taken[home][0] for home in present])[order],
            torch.cat([taken[home][1] for home in present])[order],
            allowed[spread][order],
            own[spread][order],
        )

    def _own(self, home: int) -> Tensor:
        found = torch.zeros(self.outputs, dtype=torch.bool)
        found[list(self.homes[home].outputs)] = True
        return found
