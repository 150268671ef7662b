"""Small streams in features, on which learning takes no time."""

import numpy as np
import torch
from torch import nn

from efficient360.evaluator import Deadline
from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.method import RunSetup, TrainingSchedule
from efficient360.methods.continual_learning.stream import Features, LabelledInputs, Scenario, Stream, Task

WIDTH = 8


def labelled(labels: list[int], seed: int) -> LabelledInputs:
    """Features near the label's own direction."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.3, (len(labels), WIDTH)) + 2 * np.eye(WIDTH)[labels] if labels else np.empty((0, WIDTH))
    return LabelledInputs(Features(torch.from_numpy(values).float()), np.arange(len(labels)), np.array(labels, dtype=np.int64))


def stream(scenario: Scenario, tasks: int = 2, original: int = 8) -> Stream:
    """Two known classes, then two new ones a task, or the two known ones anew."""
    known = Task("original", (0, 1), labelled([0, 1] * (original // 2), 0), labelled([0, 1] * 6, 1))
    new = []
    for i in range(tasks):
        outputs = (2 + 2 * i, 3 + 2 * i) if scenario.has_new_classes else (0, 1)
        new.append(Task(f"task {i}", outputs, labelled(list(outputs) * 8, 10 + i), labelled(list(outputs) * 6, 20 + i)))
    return Stream(scenario, known, tuple(new), 2 + 2 * tasks if scenario.has_new_classes else 2)


def learner(outputs: int, hidden: int = 8) -> Learner:
    """A network of two layers, its weights seeded."""
    generator = torch.Generator().manual_seed(0)
    first, head = nn.Linear(WIDTH, hidden, device="meta"), nn.Linear(hidden, outputs, device="meta")
    for layer in (first, head):
        layer.weight, layer.bias = (nn.Parameter(0.3 * torch.randn(p.shape, generator=generator)) for p in (layer.weight, layer.bias))
    return Learner(nn.Sequential(first, nn.ReLU()), head)


def setup(tasks: Stream, steps: int = 6, batch: int = 4, seed: int = 3) -> RunSetup:
    return RunSetup(tasks, lambda: tasks, lambda: learner(tasks.outputs), TrainingSchedule(steps, batch, seed, Deadline(), lambda: None))
