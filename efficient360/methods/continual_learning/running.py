"""One method on one stream: the accuracy on every task after each of them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.evaluator import Deadline
from efficient360.methods.continual_learning.inputs import CHUNK
from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.method import Method, Study
from efficient360.methods.continual_learning.stream import Stream

Matrix = NDArray[np.float64]


def accuracy(learner: Learner, stream: Stream, home: int, learned: int, deadline: Deadline) -> float:
    """Share of a home's test images that are answered rightly; 0 for new classes that are not learned yet, which cannot be named.

    Args:
        learner: After ``learned`` tasks.
        stream: As the learner takes it.
        home: 0 for what the checkpoint was trained on, i for the i-th task.
        learned: How many tasks are learned.
        deadline: Checked before every pass.

    Raises:
        OutOfTime: From the deadline.
    """
    if home > learned and stream.scenario.brings_classes:
        return 0.0
    part, allowed = stream.homes[home].test, stream.allowed(home, learned).to(learner.device)
    right = 0
    for places in np.split(np.arange(len(part)), range(CHUNK, len(part), CHUNK)):
        deadline.check()
        inputs, labels = part.take(places)
        with torch.no_grad():
            answers = learner(inputs).masked_fill(~allowed, -torch.inf).argmax(1).cpu()
        right += int((answers == labels).sum())
    return right / len(part)


def row(learner: Learner, stream: Stream, learned: int, deadline: Deadline) -> list[float]:
    """Accuracy on every home after ``learned`` tasks, ``T + 1`` values.

    Raises:
        OutOfTime: From the deadline.
    """
    return [accuracy(learner, stream, home, learned, deadline) for home in range(len(stream.homes))]


def matrix(method: Method, study: Study, before: list[float]) -> Matrix:
    """Accuracy after each number of tasks on each home, ``(T + 1, T + 1)``: row 0 before any learning, column 0 on the original test set.

    Args:
        method: How it learns.
        study: What it learns.
        before: Row 0.

    Raises:
        OutOfTime: From the deadline.
    """
    rows: list[Any] = [before]
    for learned, shown in enumerate(method.learn(study), 1):
        rows.append(row(shown.learner, shown.stream, learned, study.course.deadline))
    return np.array(rows, dtype=np.float64)
