"""The contract of an attack: correctly classified examples go in, adversarial examples come out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.seeding import generators
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class AttackBatch:
    """Examples under attack, all classified correctly when clean.

    Args:
        images: Clean images float32 ``(B, 3, H, W)`` in [0, 1], on the victim's device.
        labels: int64 ``(B,)``, on the victim's device.
        ids: Example ids, length ``B``.
        seed: The run's seed.
    """

    images: Tensor
    labels: Tensor
    ids: tuple[str, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Tensor) -> "AttackBatch":
        """The examples at positions ``index``, int64 ``(b,)``."""
        return AttackBatch(self.images[index], self.labels[index], tuple(self.ids[i] for i in index.tolist()), self.seed)

    def positions(self) -> Tensor:
        """Positions of all examples, int64 ``(B,)``."""
        return torch.arange(len(self), device=self.images.device)

    def generators(self, salt: str) -> list[np.random.Generator]:
        """A generator for each example, from the seed, the example's id and ``salt`` alone: independent of the rest of the batch."""
        return generators(salt, self.ids, self.seed)


@final
@dataclass(frozen=True)
class AttackResult:
    """What an attack returns.

    Args:
        images: float32 ``(B, 3, H, W)`` within the threat model: the adversarial example where the attack succeeded, else the clean image.
        success: bool ``(B,)``, whether the image is misclassified.
    """

    images: Tensor
    success: Tensor


class Attack(ABC):
    """Searches for misclassified images within a threat model. Frozen dataclasses: their fields are budget and variant.

    An attack gives each example a budget of its own, stops on an example once it succeeds, and draws each example's randomness
    from ``batch.generators``, so that batch size and the other examples change nothing. Declare the properties below as class
    variables: ``name: ClassVar[str] = "brighten"``.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Stable kebab-case name."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Display name."""

    @property
    @abstractmethod
    def source(self) -> str:
        """The paper."""

    @property
    @abstractmethod
    def gradients(self) -> bool:
        """Whether it needs a differentiable model."""

    @property
    @abstractmethod
    def norms(self) -> frozenset[Norm]:
        """The norms it supports."""

    @abstractmethod
    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        """Attack every example.

        Args:
            victim: The model under attack.
            threat: The allowed perturbations; its norm is one of ``norms``.
            batch: Correctly classified examples, at least one.
        """


def misclassified(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether each row's prediction is not its label, bool ``(B,)``. Of equal logits the first counts, as in the accuracy evaluator."""
    return torch.as_tensor(logits.argmax(1) != labels)


def most_likely_other_classes(victim: Victim, batch: AttackBatch) -> Tensor:
    """Classes other than the label by descending clean logit, int64 ``(B, K - 1)``: the targets of targeted attacks."""
    logits = victim.logits(batch.images).scatter(1, batch.labels[:, None], float("-inf"))
    return logits.argsort(dim=1, descending=True, stable=True)[:, :-1]


def run_in_groups(batch: AttackBatch, size: int, run: Callable[[AttackBatch], AttackResult]) -> AttackResult:
    """``run`` on ``size`` examples at a time. Few examples with all their target classes fill a forward pass that examples alone would leave half empty."""
    results = [run(batch.take(group)) for group in torch.split(batch.positions(), size)]
    return AttackResult(torch.cat([result.images for result in results]), torch.cat([result.success for result in results]))
