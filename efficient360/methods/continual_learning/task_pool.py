"""Task pools: all tasks of a stream, from which each seed builds a stream in its own order."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.errors import Unsupported
from efficient360.methods.continual_learning.stream import LabelledInputs, Scenario, Stream, Task


class TaskPool(ABC):
    """All tasks of a stream, in no order yet."""

    name: str
    """Name in conditions."""
    title: str
    """Display name."""

    @property
    @abstractmethod
    def scenarios(self) -> tuple[Scenario, ...]:
        """Scenarios that it supports."""

    @abstractmethod
    def build_stream(self, scenario: Scenario, seed: int) -> Stream:
        """The stream of one seed.

        Args:
            scenario: One of :attr:`scenarios`.
            seed: Of the order of tasks.
        """


@final
@dataclass(frozen=True)
class NewClassPool(TaskPool):
    """Classes that are new to the checkpoint, several per task.

    Args:
        name: Name in conditions.
        title: Display name.
        original: What the checkpoint was trained on.
        class_names: Of the new classes.
        training: Their training images; label c is the c-th new class.
        test: Their test images.
        tasks: Maximum number of tasks.
    """

    name: str
    title: str
    original: Task
    class_names: tuple[str, ...]
    training: LabelledInputs
    test: LabelledInputs
    tasks: int

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        # With the task given, a task of a single class would be trivial.
        return tuple(scenario for scenario, minimum in ((Scenario.CLASS, 2), (Scenario.TASK, 4)) if len(self.class_names) >= minimum)

    def build_stream(self, scenario: Scenario, seed: int) -> Stream:
        """Classes in random order, split into tasks of nearly equal size."""
        known, new = len(self.original.outputs), len(self.class_names)
        order = np.random.default_rng([seed, 17]).permutation(new)
        max_tasks = new // 2 if scenario is Scenario.TASK else new
        new_outputs = np.arange(known, known + new)
        tasks = []
        for indices in np.array_split(order, min(self.tasks, max_tasks)):
            classes = tuple(sorted(indices.tolist()))
            outputs = tuple(known + c for c in classes)
            training, test = (examples.with_labels(classes).relabel(new_outputs) for examples in (self.training, self.test))
            tasks.append(Task(", ".join(self.class_names[c] for c in classes), outputs, training, test))
        return Stream(scenario, self.original, tuple(tasks), known + new)


@final
@dataclass(frozen=True)
class DomainPool(TaskPool):
    """The checkpoint's classes under one condition after another.

    Args:
        name: Name in conditions.
        title: Display name.
        original: What the checkpoint was trained on.
        domains: A task each, with the original's outputs.
    """

    name: str
    title: str
    original: Task
    domains: tuple[Task, ...]

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        return (Scenario.DOMAIN,)

    def build_stream(self, scenario: Scenario, seed: int) -> Stream:
        """The conditions in random order."""
        order = np.random.default_rng([seed, 17]).permutation(len(self.domains))
        return Stream(scenario, self.original, tuple(self.domains[i] for i in order), len(self.original.outputs))


def unknown_classes(names: Sequence[str], known: Sequence[str], title: str) -> list[int]:
    """Which classes of a data set are new to a checkpoint, ascending.

    Args:
        names: Of the data set's classes.
        known: Of the classes that the checkpoint knows.
        title: Display name of the data set.

    Raises:
        Unsupported: No class is new (``known-classes``), or only one.
    """
    new = [i for i, name in enumerate(names) if name not in set(known)]
    if not new:
        message = f"the checkpoint knows every class of {title}: learning them again would test nothing"
        raise Unsupported("known-classes", message, "choose a data set of other classes, or streams: [corruptions]")
    if len(new) < 2:
        message = f"{title} has a single class that is new to the checkpoint: {names[new[0]]}"
        raise Unsupported("too-few-classes", message, "choose a data set with more of them")
    return new
