"""Attacks that only ask questions: one search over rising ε, what it found, and what it cost."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.errors import PluginError
from efficient360.methods.adversarial.attack import Attack, Found, Subjects, misclassified
from efficient360.methods.adversarial.threat import Threat
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class Answered:
    """What a search found within one threat model.

    Args:
        found: The images. An example that fell within a smaller ε fell within this one too, by an image within this ε.
        queries: int64 ``(B,)``, of those that fell the images shown to the model until then, of the others 0. An attack that begins anew at
            each ε counts from the ε at which the example fell.
    """

    found: Found
    queries: Tensor


class QueryAttack(Attack):
    """An attack that learns from logits or predictions alone."""

    @abstractmethod
    def search(self, victim: Victim, threats: Sequence[Threat], subjects: Subjects) -> tuple[Answered, ...]:
        """Attack every subject within each threat model.

        Args:
            victim: What is attacked.
            threats: Of one norm, ε rising.
            subjects: Rightly classified examples, at least one.

        Returns:
            One for each threat model.
        """


@final
@dataclass(frozen=True)
class Felled:
    """Where each example fell.

    Args:
        at: Index of the smallest threat model it fell in, int64 ``(B,)``; the number of threat models where it stands.
        queries: Images shown to the model until it fell, int64 ``(B,)``; 0 where it stands.
    """

    at: Tensor
    queries: Tensor


def felled(attack: QueryAttack, victim: Victim, threats: Sequence[Threat], subjects: Subjects) -> Felled:
    """Attack examples at rising ε. A fall counts only when a fresh pass misclassifies the image.

    Args:
        attack: The attack.
        victim: What is attacked.
        threats: Of one norm, ε rising.
        subjects: Rightly classified examples, at least one.

    Raises:
        PluginError: The attack returned an image outside the threat model.
    """
    at, queries = torch.full_like(subjects.labels, len(threats)), torch.zeros_like(subjects.labels)
    answers = attack.search(victim, threats, subjects)
    for i, (threat, answer) in reversed(list(enumerate(zip(threats, answers, strict=True)))):
        claimed = answer.found.fell.nonzero().flatten()
        if not len(claimed):
            continue
        images, chosen = answer.found.images[claimed], subjects.take(claimed)
        inside = threat.allows(images, chosen.images)
        if not bool(inside.all()):
            name = chosen.ids[int((~inside).nonzero()[0, 0])]
            raise PluginError("outside-threat", f"{attack.name} moved {name} out of the {threat.norm} ball of {threat.label}", "project its images")
        sure = claimed[misclassified(victim.logits(images), chosen.labels)]
        at[sure], queries[sure] = i, answer.queries[sure]
    return Felled(at, queries)
