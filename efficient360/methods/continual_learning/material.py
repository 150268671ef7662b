"""What streams are made of, and the order in which each seed lays it out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.errors import Unsupported
from efficient360.methods.continual_learning.inputs import Part
from efficient360.methods.continual_learning.scenario import Scenario
from efficient360.methods.continual_learning.stream import Stream, Task


class Material(ABC):
    """All tasks of a stream, before they are put in an order."""

    name: str
    """For conditions."""
    title: str
    """In print."""

    @property
    @abstractmethod
    def scenarios(self) -> tuple[Scenario, ...]:
        """Those that it allows."""

    @abstractmethod
    def laid_out(self, scenario: Scenario, seed: int) -> Stream:
        """The stream of one seed.

        Args:
            scenario: One of those that it allows.
            seed: Another seed, another order.
        """


@final
@dataclass(frozen=True)
class NewClasses(Material):
    """Classes that the checkpoint does not know, a few of them a task.

    Args:
        name: For conditions.
        title: In print.
        original: What the checkpoint was trained on.
        class_names: Of the new classes.
        training: All their training images; label c is the c-th new class.
        test: All their test images.
        tasks: How many tasks at most.
    """

    name: str
    title: str
    original: Task
    class_names: tuple[str, ...]
    training: Part
    test: Part
    tasks: int

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        # A task of a single class asks nothing where it is told which task an image is of.
        return tuple(s for s, least in ((Scenario.CLASS, 2), (Scenario.TASK, 4)) if len(self.class_names) >= least)

    def laid_out(self, scenario: Scenario, seed: int) -> Stream:
        """Classes in a random order, in tasks of about as many each."""
        known, new = len(self.original.outputs), len(self.class_names)
        order = np.random.default_rng([seed, 17]).permutation(new)
        most = new // 2 if scenario is Scenario.TASK else new
        places = np.arange(known, known + new)
        tasks = []
        for chosen in np.array_split(order, min(self.tasks, most)):
            classes = tuple(sorted(chosen.tolist()))
            outputs = tuple(known + c for c in classes)
            training, test = (part.of_labels(classes).relabelled(places) for part in (self.training, self.test))
            tasks.append(Task(", ".join(self.class_names[c] for c in classes), outputs, training, test))
        return Stream(scenario, self.original, tuple(tasks), known + new)


@final
@dataclass(frozen=True)
class Domains(Material):
    """The checkpoint's classes under one condition after another.

    Args:
        name: For conditions.
        title: In print.
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

    def laid_out(self, scenario: Scenario, seed: int) -> Stream:
        """The conditions in a random order."""
        order = np.random.default_rng([seed, 17]).permutation(len(self.domains))
        return Stream(scenario, self.original, tuple(self.domains[i] for i in order), len(self.original.outputs))


def unknown_classes(names: Sequence[str], known: Sequence[str], title: str) -> list[int]:
    """Which classes of a data set are new to a checkpoint, ascending.

    Args:
        names: Of the data set's classes.
        known: Of the classes that the checkpoint knows.
        title: The data set in print.

    Raises:
        Unsupported: None is (``known-classes``), or only one.
    """
    new = [i for i, name in enumerate(names) if name not in set(known)]
    if not new:
        message = f"the checkpoint knows every class of {title}: to learn them again would test nothing"
        raise Unsupported("known-classes", message, "choose a data set of other classes, or streams: [corruptions]")
    if len(new) < 2:
        message = f"{title} has a single class that is new to the checkpoint: {names[new[0]]}"
        raise Unsupported("too-few-classes", message, "choose a data set with more of them")
    return new
