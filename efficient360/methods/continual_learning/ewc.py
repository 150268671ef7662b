"""Elastic weight consolidation (Kirkpatrick et al. 2017), with one running Fisher for all tasks (online EWC: Schwarz et al. 2018)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.method import LearningRates, Method, RunSetup, TrainedLearner, batch_loss, masked_cross_entropy, train
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


def fisher(learner: Learner, stream: Stream, indices: NDArray[np.int64], learned: int, generator: torch.Generator) -> list[Tensor]:
    """The diagonal of the Fisher information of each trained weight: mean squared gradient of the log-likelihood, image by image.

    Labels are sampled from the network's own predictive distribution, as the definition requires; true labels would give the empirical Fisher.

    Args:
        learner: The network.
        stream: Source of the images.
        indices: Indices of the images, at least one.
        learned: Number of tasks learned so far.
        generator: Of the sampled labels.
    """
    trained = [p for p in learner.parameters() if p.requires_grad]
    information = [torch.zeros_like(p) for p in trained]
    for index in indices:
        batch = stream.batch(np.array([index]), learned)
        logits = learner(batch.inputs)
        probabilities = logits.detach().cpu().masked_fill(~batch.mask, -torch.inf).softmax(1)
        label = torch.multinomial(probabilities, 1, generator=generator)[:, 0]
        gradients = torch.autograd.grad(masked_cross_entropy(logits, label, batch.mask), trained, allow_unused=True)
        for total, gradient in zip(information, gradients, strict=True):
            if gradient is not None:
                total.add_(gradient.square(), alpha=1 / len(indices))
    return information


@final
@dataclass(frozen=True)
class Ewc(Method):
    """Fine-tuning of every layer, each weight held in proportion to its importance for earlier tasks.

    Args:
        rates: Learning rates.
        strength: λ of the penalty.
        images: Images per task from which the Fisher information is estimated.
    """

    name: ClassVar[str] = "ewc"
    rates: LearningRates
    strength: float
    images: int

    def learn(self, setup: RunSetup) -> Iterator[TrainedLearner]:
        """Fine-tune on each task under the penalty of earlier ones, then add that task's Fisher information."""
        learner, stream, schedule = setup.new_learner(), setup.stream, setup.schedule
        trained = [p for p in learner.parameters() if p.requires_grad]
        generator = torch.Generator().manual_seed(schedule.seed)
        importance = [torch.zeros_like(p) for p in trained]
        for task in range(len(stream.all_tasks)):
            if task:
                anchors = [p.detach().clone() for p in trained]

                def loss(indices: NDArray[np.int64], task: int = task, anchors: Weights = anchors) -> Tensor:
                    return batch_loss(learner, stream.batch(indices, task)) + self.strength * penalty(trained, anchors, importance)

                train(learner, schedule.minibatches(stream.indices(task), 1, task), loss, self.rates, schedule)
                yield TrainedLearner(learner, stream)
            sample = stream.indices(task)[: self.images]
            if len(sample) and task < len(stream.tasks):
                schedule.deadline.check()
                for total, information in zip(importance, fisher(learner, stream, sample, task, generator), strict=True):
                    total.add_(information)
