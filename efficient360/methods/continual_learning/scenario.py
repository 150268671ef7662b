"""The three scenarios of continual learning (van de Ven, Tuytelaars & Tolias 2022), as the outputs among which an answer is sought."""

from enum import StrEnum


class Scenario(StrEnum):
    """What is new in a task, and what is told when it is asked about."""

    CLASS = "class-incremental"
    """New classes; an answer is sought among all that were learned so far, the checkpoint's own included."""
    TASK = "task-incremental"
    """New classes; it is told which task an image is of, and an answer is sought among that task's alone."""
    DOMAIN = "domain-incremental"
    """The checkpoint's own classes under new conditions; an answer is sought among all of them."""

    @property
    def brings_classes(self) -> bool:
        """Whether a task has outputs of its own, which mean nothing before it is learned."""
        return self is not Scenario.DOMAIN
