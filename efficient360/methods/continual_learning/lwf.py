"""Learning without forgetting (Li & Hoiem 2018): the old answers to the new images are kept."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.methods.continual_learning.fitting import Rates, answer_loss, fit
from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.method import Learned, Method, Study
from efficient360.methods.continual_learning.scenario import Scenario
from efficient360.methods.continual_learning.stream import Stream

TEMPERATURE: Final = 2.0


def distillation(answers: Tensor, old: Tensor) -> Tensor:
    """Cross-entropy of softened answers against softened old ones (Li & Hoiem 2018, section 3, T = 2), mean over a batch.

    Args:
        answers: Logits ``(B, k)``.
        old: Logits of the network as it was, ``(B, k)``.
    """
    wanted = (old / TEMPERATURE).softmax(1)
    return -(wanted * (answers / TEMPERATURE).log_softmax(1)).sum(1).mean()


def old_heads(stream: Stream, learned: int) -> list[list[int]]:
    """Outputs whose old answers are kept while a task is learned, one list for each set among which answers are sought.

    Args:
        stream: The tasks.
        learned: Number of the task being learned, from 1.
    """
    before = [list(home.outputs) for home in stream.homes[:learned]]
    if stream.scenario is Scenario.DOMAIN:
        return before[:1]
    return before if stream.scenario is Scenario.TASK else [[output for outputs in before for output in outputs]]


@final
@dataclass(frozen=True)
class Lwf(Method):
    """Fine-tuning of every layer that keeps the old outputs' answers to the new images; the new outputs learn among themselves.

    Args:
        rates: Of learning.
        strength: Weight of the old answers, λₒ.
    """

    name: ClassVar[str] = "lwf"
    rates: Rates
    strength: float

    def learn(self, study: Study) -> Iterator[Learned]:
        """Fine-tune on each task beside the network as it was before it."""
        learner, stream, course = study.fresh(), study.stream, study.course
        for number in range(1, len(stream.homes)):
            teacher = copy.deepcopy(learner).requires_grad_(requires_grad=False)
            heads = old_heads(stream, number)

            def loss(numbers: NDArray[np.int64], number: int = number, teacher: Learner = teacher, heads: Sequence[list[int]] = heads) -> Tensor:
                """New outputs against the labels, old ones against the teacher."""
                drawn = stream.take(numbers, number)
                with torch.no_grad():
                    old = teacher(drawn.inputs)
                logits = learner(drawn.inputs)
                kept = torch.stack([distillation(logits[:, head], old[:, head]) for head in heads]).sum()
                return answer_loss(logits, drawn.labels, drawn.own) + self.strength * kept

            fit(learner, course.draws(stream.numbers(number), 1, number), loss, self.rates, course)
            yield Learned(learner, stream)
