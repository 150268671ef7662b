"""Elastic weight consolidation (Kirkpatrick et al. 2017), with one running Fisher for all tasks (online EWC: Schwarz et al. 2018)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.methods.continual_learning.fitting import Rates, answer_loss, fit, plain_loss
from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.method import Learned, Method, Study
from efficient360.methods.continual_learning.stream import Stream

Weights = Sequence[Tensor]


def penalty(weights: Weights, anchors: Weights, importance: Weights) -> Tensor:
    """``½ Σ F (θ − θ*)²`` (Kirkpatrick et al. 2017, equation 3, without λ), a scalar.

    Args:
        weights: ``θ``.
        anchors: ``θ*``, of the same shapes.
        importance: ``F``, of the same shapes.
    """
    return 0.5 * torch.stack([(f * (w - a).square()).sum() for w, a, f in zip(weights, anchors, importance, strict=True)]).sum()


def fisher(learner: Learner, stream: Stream, numbers: NDArray[np.int64], learned: int, generator: torch.Generator) -> list[Tensor]:
    """The diagonal of the Fisher information of each trained weight: mean squared gradient of the log-likelihood, image by image.

    Labels are drawn from the network's own answers, as the Fisher information wants; with the true ones it would be another matrix.

    Args:
        learner: Whose.
        stream: Gives the images.
        numbers: Which, at least one.
        learned: How many tasks are learned.
        generator: Draws the labels.
    """
    trained = [p for p in learner.parameters() if p.requires_grad]
    found = [torch.zeros_like(p) for p in trained]
    for number in numbers:
        drawn = stream.take(np.array([number]), learned)
        logits = learner(drawn.inputs)
        chances = logits.detach().cpu().masked_fill(~drawn.allowed, -torch.inf).softmax(1)
        label = torch.multinomial(chances, 1, generator=generator)[:, 0]
        gradients = torch.autograd.grad(answer_loss(logits, label, drawn.allowed), trained, allow_unused=True)
        for total, gradient in zip(found, gradients, strict=True):
            if gradient is not None:
                total.add_(gradient.square(), alpha=1 / len(numbers))
    return found


@final
@dataclass(frozen=True)
class Ewc(Method):
    """Fine-tuning of every layer that holds a weight the more, the more the tasks before it depend on it.

    Args:
        rates: Of learning.
        strength: λ of the penalty.
        images: Of each task, that the Fisher information is taken on.
    """

    name: ClassVar[str] = "ewc"
    rates: Rates
    strength: float
    images: int

    def learn(self, study: Study) -> Iterator[Learned]:
        """Fine-tune on each task under the penalty of all before it, then take the Fisher information of that task."""
        learner, stream, course = study.fresh(), study.stream, study.course
        trained = [p for p in learner.parameters() if p.requires_grad]
        generator = torch.Generator().manual_seed(course.seed)
        importance = [torch.zeros_like(p) for p in trained]
        for number in range(len(stream.homes)):
            if number:
                anchors = [p.detach().clone() for p in trained]

                def loss(numbers: NDArray[np.int64], number: int = number, held: Weights = anchors) -> Tensor:
                    return plain_loss(learner, stream.take(numbers, number)) + self.strength * penalty(trained, held, importance)

                fit(learner, course.draws(stream.numbers(number), 1, number), loss, self.rates, course)
                yield Learned(learner, stream)
            chosen = stream.numbers(number)[: self.images]
            if len(chosen) and number < len(stream.tasks):
                course.deadline.check()
                for total, found in zip(importance, fisher(learner, stream, chosen, number, generator), strict=True):
                    total.add_(found)
