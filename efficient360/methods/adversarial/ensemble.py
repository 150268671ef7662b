"""Several attacks at rising ε: each takes on what the earlier ones left standing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from efficient360.errors import PluginError
from efficient360.methods.adversarial.attack import Attack, Subjects, misclassified
from efficient360.methods.adversarial.threat import Threat
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class Fallen:
    """When and to what each example fell.

    Args:
        at: Index of the smallest threat model it fell in, int64 ``(B,)``; the number of threat models where it stands.
        by: Index of the attack it fell to, int64 ``(B,)``; the number of attacks where it stands.
        images: float32 ``(B, 3, H, W)``: the misclassified image, the clean one where it stands.
    """

    at: Tensor
    by: Tensor
    images: Tensor

    def standing(self, threat: int, attack: int) -> Tensor:
        """Whether each example still stands after this attack in this threat model, bool ``(B,)``."""
        return (self.at > threat) | ((self.at == threat) & (self.by > attack))


def strike(victim: Victim, threats: Sequence[Threat], attacks: Sequence[Attack], subjects: Subjects, scouted: int = 0) -> Fallen:
    """Attack examples in one threat model after another, with one attack after another, each only while it stands.

    An image that is misclassified within a small ball lies in every larger one, so what fell at one ε has fallen at all larger ones.
    A fall counts only when the image is within the threat model and a fresh pass misclassifies it.

    Args:
        victim: What is attacked.
        threats: Of one norm, ε rising.
        attacks: In order, cheapest first.
        subjects: Rightly classified examples.
        scouted: In how many threat models, the smallest first, only the first attack is tried: the start of a curve, at little cost.

    Raises:
        PluginError: An attack returned an image outside the threat model.
    """
    device = subjects.images.device
    at = torch.full((len(subjects),), len(threats), dtype=torch.int64, device=device)
    by = torch.full_like(at, len(attacks))
    images = subjects.images.clone()
    for i, threat in enumerate(threats):
        for j, attack in enumerate(attacks[:1] if i < scouted else attacks):
            left = (at == len(threats)).nonzero()[:, 0]
            if not len(left):
                return Fallen(at, by, images)
            standing = subjects.take(left)
            found = attack.run(victim, threat, standing)
            outside = found.fell & ~threat.allows(found.images, standing.images)
            if bool(outside.any()):
                name = standing.ids[int(outside.nonzero()[0, 0])]
                raise PluginError("outside-threat", f"{attack.name} moved {name} out of the {threat.norm} ball of {threat.label}", "project its images")
            sure = found.fell.clone()
            sure[found.fell] = misclassified(victim.logits(found.images[found.fell]), standing.labels[found.fell]) if bool(sure.any()) else sure[sure]
            at[left[sure]], by[left[sure]], images[left[sure]] = i, j, found.images[sure]
    return Fallen(at, by, images)
