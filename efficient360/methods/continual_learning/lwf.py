"""Learning without forgetting (Li & Hoiem 2018): distillation from the network as it was before each task."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.method import LearningRates, Method, RunSetup, TrainedLearner, masked_cross_entropy, train
from efficient360.methods.continual_learning.stream import Scenario, Stream

TEMPERATURE: Final = 2.0


def distillation(logits: Tensor, old: Tensor) -> Tensor:
    """Cross-entropy of softened predictions against softened old ones (Li & Hoiem 2018, section 3, T = 2), mean over a batch.

    Args:
        logits: ``(B, k)``.
        old: Logits of the network before the task, ``(B, k)``.
    """
    target = (old / TEMPERATURE).softmax(1)
    return -(target * (logits / TEMPERATURE).log_softmax(1)).sum(1).mean()


def old_heads(stream: Stream, learned: int) -> list[list[int]]:
    """Outputs that are distilled while a task is learned, one list for each set among which predictions are made.

    Args:
        stream: The tasks.
        learned: Number of the task being learned, from 1.
    """
    before = [list(task.outputs) for task in stream.all_tasks[:learned]]
    if stream.scenario is Scenario.DOMAIN:
        return before[:1]
    return before if stream.scenario is Scenario.TASK else [[output for outputs in before for output in outputs]]


@final
@dataclass(frozen=True)
class Lwf(Method):
    """Fine-tuning of every layer with distillation of the old outputs on the new images; new outputs are trained among themselves.

    Args:
        rates: Learning rates.
        strength: Weight of the distillation loss, λₒ.
    """

    name: ClassVar[str] = "lwf"
    rates: LearningRates
    strength: float

    def learn(self, setup: RunSetup) -> Iterator[TrainedLearner]:
        """Fine-tune on each task with the network before it as the teacher."""
        learner, stream, schedule = setup.new_learner(), setup.stream, setup.schedule
        for task in range(1, len(stream.all_tasks)):
            teacher = copy.deepcopy(learner).requires_grad_(requires_grad=False)
            heads = old_heads(stream, task)

            def loss(indices: NDArray[np.int64], task: int = task, teacher: Learner = teacher, heads: Sequence[list[int]] = heads) -> Tensor:
                """New outputs against the labels, old ones against the teacher."""
                batch = stream.batch(indices, task)
                with torch.no_grad():
                    old = teacher(batch.inputs)
                logits = learner(batch.inputs)
                distilled = torch.stack([distillation(logits[:, head], old[:, head]) for head in heads]).sum()
                return masked_cross_entropy(logits, batch.labels, batch.task_mask) + self.strength * distilled

            train(learner, schedule.minibatches(stream.indices(task), 1, task), loss, self.rates, schedule)
            yield TrainedLearner(learner, stream)
