"""Attacks run at ascending ε, each on the examples that are still robust, and every success verified."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.errors import PluginError
from efficient360.methods.adversarial.attack import Attack, AttackBatch, AttackResult, misclassified
from efficient360.methods.adversarial.query_attack import QueryAttack
from efficient360.methods.adversarial.threat_model import ThreatModel
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class EnsembleResult:
    """At which ε and by which attack each example was broken.

    Args:
        epsilon_index: Index of the smallest threat model in which an attack succeeded, int64 ``(B,)``; the number of threat models if none did.
        attack_index: Index of the attack that succeeded, int64 ``(B,)``; the number of attacks if none did.
        images: float32 ``(B, 3, H, W)``: the adversarial example, the clean image if no attack succeeded.
    """

    epsilon_index: Tensor
    attack_index: Tensor
    images: Tensor

    def robust(self, threat: int, attack: int) -> Tensor:
        """Whether each example is still classified correctly after this attack in this threat model, bool ``(B,)``."""
        return (self.epsilon_index > threat) | ((self.epsilon_index == threat) & (self.attack_index > attack))


def run_ensemble(victim: Victim, threats: Sequence[ThreatModel], attacks: Sequence[Attack], batch: AttackBatch, num_scouted: int = 0) -> EnsembleResult:
    """Run one attack after another in one threat model after another, each on the examples that are still robust.

    An adversarial example in a small ball lies in every larger one, so an example broken at one ε is broken at all larger ones.

    Args:
        victim: The model under attack.
        threats: Of one norm, ε ascending.
        attacks: In order, cheapest first.
        batch: Correctly classified examples.
        num_scouted: In how many threat models, the smallest first, only the first attack is run: the start of a curve, at little cost.

    Raises:
        PluginError: An attack returned an image outside the threat model.
    """
    device = batch.images.device
    epsilon_index = torch.full((len(batch),), len(threats), dtype=torch.int64, device=device)
    attack_index = torch.full_like(epsilon_index, len(attacks))
    images = batch.images.clone()
    for i, threat in enumerate(threats):
        for j, attack in enumerate(attacks[:1] if i < num_scouted else attacks):
            left = (epsilon_index == len(threats)).nonzero()[:, 0]
            if not len(left):
                return EnsembleResult(epsilon_index, attack_index, images)
            robust = batch.take(left)
            result = attack.run(victim, threat, robust)
            success = verified(attack, victim, threat, robust, result)
            epsilon_index[left[success]], attack_index[left[success]], images[left[success]] = i, j, result.images[success]
    return EnsembleResult(epsilon_index, attack_index, images)


@final
@dataclass(frozen=True)
class QuerySearch:
    """At which ε a black-box attack broke each example.

    Args:
        epsilon_index: Index of the smallest threat model in which it succeeded, int64 ``(B,)``; the number of threat models if it never did.
        queries: Model queries until success, int64 ``(B,)``; 0 if it never did.
    """

    epsilon_index: Tensor
    queries: Tensor


def run_query_attack(attack: QueryAttack, victim: Victim, threats: Sequence[ThreatModel], batch: AttackBatch) -> QuerySearch:
    """Run one black-box attack at ascending ε.

    Args:
        attack: The attack.
        victim: The model under attack.
        threats: Of one norm, ε ascending.
        batch: Correctly classified examples, at least one.

    Raises:
        PluginError: The attack returned an image outside the threat model.
    """
    epsilon_index, queries = torch.full_like(batch.labels, len(threats)), torch.zeros_like(batch.labels)
    searches = attack.search(victim, threats, batch)
    for i, (threat, search) in reversed(list(enumerate(zip(threats, searches, strict=True)))):
        success = verified(attack, victim, threat, batch, search.result)
        epsilon_index[success], queries[success] = i, search.queries[success]
    return QuerySearch(epsilon_index, queries)


def verified(attack: Attack, victim: Victim, threat: ThreatModel, batch: AttackBatch, result: AttackResult) -> Tensor:
    """Which claimed successes a fresh forward pass confirms, bool ``(B,)``.

    Raises:
        PluginError: An image claimed as adversarial lies outside the threat model.
    """
    claimed = result.success.nonzero().flatten()
    confirmed = torch.zeros_like(result.success)
    if not len(claimed):
        return confirmed
    images, chosen = result.images[claimed], batch.take(claimed)
    inside = threat.contains(images, chosen.images)
    if not bool(inside.all()):
        name = chosen.ids[int((~inside).nonzero()[0, 0])]
        message = f"{attack.name} moved {name} out of the {threat.norm} ball of {threat.label}"
        raise PluginError("outside-threat", message, "project its images onto the ball")
    confirmed[claimed] = misclassified(victim.logits(images), chosen.labels)
    return confirmed
