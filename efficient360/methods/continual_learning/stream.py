"""A stream of tasks, learned one after the other after what the checkpoint knows already: scenarios, inputs, tasks and training batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.storage.pixel_store import PixelStore

CHUNK: Final = 50
"""Images per forward pass outside training: fixed, so that no result depends on the run's batch size."""


class Scenario(StrEnum):
    """What is new in a task, and among which outputs a prediction is made (van de Ven, Tuytelaars & Tolias 2022)."""

    CLASS = "class-incremental"
    """New classes; predictions are among all classes learned so far, the checkpoint's own included."""
    TASK = "task-incremental"
    """New classes; the task of an image is given, and predictions are among that task's classes only."""
    DOMAIN = "domain-incremental"
    """The checkpoint's own classes under new conditions; predictions are among all of them."""

    @property
    def has_new_classes(self) -> bool:
        """Whether a task has outputs of its own, which are untrained before it is learned."""
        return self is not Scenario.DOMAIN


class Inputs(ABC):
    """What a network is fed: pixels, or features computed from them once."""

    @abstractmethod
    def take(self, rows: NDArray[np.int64]) -> Tensor:
        """The inputs of these rows, float32 ``(B, …)``."""


@final
@dataclass(frozen=True)
class Pixels(Inputs):
    """Images on disk, ``(n, 3, H, W)``."""

    store: PixelStore

    def take(self, rows: NDArray[np.int64]) -> Tensor:
        """Images ``(B, 3, H, W)`` in [0, 1]."""
        return self.store.images(rows)


@final
@dataclass(frozen=True)
class Features(Inputs):
    """Features in memory, float32 ``(n, D)``."""

    values: Tensor

    def take(self, rows: NDArray[np.int64]) -> Tensor:
        return self.values[torch.from_numpy(rows)]


@final
@dataclass(frozen=True)
class LabelledInputs:
    """Rows of some inputs with their labels.

    Args:
        inputs: Pixels or features.
        rows: Rows of ``inputs``, int64 ``(n,)``.
        labels: The correct output of each, int64 ``(n,)``.
    """

    inputs: Inputs
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Inputs and labels at some positions of :attr:`rows`."""
        return self.inputs.take(self.rows[positions]), torch.from_numpy(self.labels[positions])

    def with_labels(self, labels: tuple[int, ...]) -> "LabelledInputs":
        """Those whose label is among ``labels``."""
        kept = np.flatnonzero(np.isin(self.labels, labels))
        return LabelledInputs(self.inputs, self.rows[kept], self.labels[kept])

    def relabel(self, mapping: NDArray[Any]) -> "LabelledInputs":
        """The same rows with label ``l`` replaced by ``mapping[l]``."""
        return LabelledInputs(self.inputs, self.rows, mapping[self.labels].astype(np.int64))


@final
@dataclass(frozen=True)
class Task:
    """A task of the stream, or what the checkpoint was trained on.

    Args:
        name: Display name: its classes, or the condition of its images.
        outputs: The network's outputs for its classes, ascending.
        training: May be empty for what the checkpoint was trained on.
        test: Not empty.
    """

    name: str
    outputs: tuple[int, ...]
    training: LabelledInputs
    test: LabelledInputs


@final
@dataclass(frozen=True)
class TrainingBatch:
    """A batch to train on.

    Args:
        inputs: ``(B, …)``.
        labels: Outputs, int64 ``(B,)``.
        mask: Outputs among which each prediction is made, bool ``(B, K)``.
        task_mask: Outputs of each image's own task, bool ``(B, K)``.
    """

    inputs: Tensor
    labels: Tensor
    mask: Tensor
    task_mask: Tensor


@final
@dataclass(frozen=True)
class Stream:
    """Tasks in the order in which they are learned, numbered from 1; task 0 is what the checkpoint was trained on.

    Args:
        scenario: What is new in a task.
        original: What the checkpoint was trained on.
        tasks: At least one.
        outputs: Total number of outputs of the network.
    """

    scenario: Scenario
    original: Task
    tasks: tuple[Task, ...]
    outputs: int

    @cached_property
    def all_tasks(self) -> tuple[Task, ...]:
        """The original, then the tasks."""
        return (self.original, *self.tasks)

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(len(each.training) for each in self.all_tasks)])

    def indices(self, task: int) -> NDArray[np.int64]:
        """Indices of a task's training images; training images are numbered consecutively over all tasks."""
        return np.arange(self._offsets[task], self._offsets[task + 1], dtype=np.int64)

    def label(self, index: int) -> int:
        """The correct output for a training image."""
        task = int(np.searchsorted(self._offsets, index, side="right")) - 1
        return int(self.all_tasks[task].training.labels[index - self._offsets[task]])

    def output_mask(self, task: int, learned: int) -> Tensor:
        """The outputs among which the prediction for an image is made, bool ``(K,)``.

        Args:
            task: Number of the image's task.
            learned: Number of tasks learned so far, the current one included.
        """
        return self._mask_of(range(learned + 1) if self.scenario is Scenario.CLASS else (task,))

    def batch(self, indices: NDArray[np.int64], learned: int) -> TrainingBatch:
        """Training images by index, at least one, while task ``learned`` is being learned."""
        tasks = np.searchsorted(self._offsets, indices, side="right") - 1
        present = np.unique(tasks).tolist()
        examples = {task: self.all_tasks[task].training.take(indices[tasks == task] - self._offsets[task]) for task in present}
        order = torch.from_numpy(np.argsort(np.concatenate([np.flatnonzero(tasks == task) for task in present]), kind="stable"))
        counts = torch.tensor([len(examples[task][1]) for task in present])
        mask = torch.stack([self.output_mask(task, learned) for task in present])
        task_mask = torch.stack([self._mask_of((task,)) for task in present])
        rows = torch.repeat_interleave(torch.arange(len(present)), counts)
        return TrainingBatch(
            torch.cat([examples[task][0] for task in present])[order],
            torch.cat([examples[task][1] for task in present])[order],
            mask[rows][order],
            task_mask[rows][order],
        )

    def _mask_of(self, tasks: Iterable[int]) -> Tensor:
        mask = torch.zeros(self.outputs, dtype=torch.bool)
        for task in tasks:
            mask[list(self.all_tasks[task].outputs)] = True
        return mask
