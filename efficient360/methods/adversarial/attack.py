"""The contract of an attack: examples that are still right go in, images that are wrong come out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.seeding import generators
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class Subjects:
    """Examples under attack, all still classified rightly.

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

    def take(self, index: Tensor) -> "Subjects":
        """The examples at positions ``index``, int64 ``(b,)``: how an attack leaves out those that fell."""
        return Subjects(self.images[index], self.labels[index], tuple(self.ids[i] for i in index.tolist()), self.seed)

    def generators(self, salt: str) -> list[np.random.Generator]:
        """A generator for each example, from the seed, the example's id and ``salt`` alone: the same whatever stands beside it."""
        return generators(salt, self.ids, self.seed)


@final
@dataclass(frozen=True)
class Found:
    """What an attack found.

    Args:
        images: float32 ``(B, 3, H, W)`` within the threat model: the misclassified image of each example that fell, of the others the clean one.
        fell: bool ``(B,)``, which are misclassified.
    """

    images: Tensor
    fell: Tensor


class Attack(ABC):
    """Looks for misclassified images within a threat model. Frozen dataclasses: their fields are budget and variant.

    An attack gives each example a budget of its own, leaves an example alone once it fell, and draws each example's randomness
    from ``subjects.generators``: batch size and neighbours change nothing.
    """

    name: ClassVar[str]
    """Stable kebab-case name."""
    title: ClassVar[str]
    """What it is called in print."""
    source: ClassVar[str]
    """The paper."""
    gradients: ClassVar[bool]
    """Whether it needs a differentiable model."""
    norms: ClassVar[frozenset[Norm]]
    """The norms it works in."""

    @abstractmethod
    def run(self, victim: Victim, threat: Threat, subjects: Subjects) -> Found:
        """Attack every subject.

        Args:
            victim: What is attacked.
            threat: How far an image may be moved; its norm is one of ``norms``.
            subjects: Rightly classified examples, at least one.
        """


def misclassified(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether each row's prediction is not its label, bool ``(B,)``. Of equal logits the first counts, as in the accuracy evaluator."""
    return torch.as_tensor(logits.argmax(1) != labels)
