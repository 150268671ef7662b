"""Images made on another checkpoint and shown to the model: a check that needs none of the model's own gradients."""

from collections.abc import Sequence

import torch
from torch import Tensor

from efficient360.core.findings import Finding
from efficient360.errors import SettingsError
from efficient360.methods.adversarial.attack import Subjects, misclassified
from efficient360.methods.adversarial.findings import transferred
from efficient360.methods.adversarial.losses import ce
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve


def transfer(victim: Victim, reference: str, threat: Threat, subjects: Subjects, steps: int) -> Sequence[Finding]:
    """Push images on a surrogate and count how many of them fool the victim.

    Args:
        victim: Whose robust accuracy is in doubt.
        reference: The surrogate, as ``efficient360 evaluate`` takes a checkpoint.
        threat: Where to attack.
        subjects: Examples that stood after all attacks on the victim itself.
        steps: Gradient steps.

    Raises:
        CheckpointError: The surrogate can't be loaded.
        SettingsError: It has other classes or takes images of another size.
    """
    if not len(subjects):
        return ()
    other = load_model(resolve(CheckpointSpec(reference)), victim.device)
    if other.num_classes != victim.num_classes or other.input_size != tuple(subjects.images.shape[1:]):
        sizes = f"{other.num_classes} classes and takes {other.input_size}, the model {victim.num_classes} and {victim.model.input_size}"
        message = f"the surrogate {reference} has {sizes}"
        raise SettingsError("bad-surrogate", message, "take a surrogate with the same classes and image size")
    fell = misclassified(victim.logits(pushed(Victim(other, victim.rows), threat, subjects, steps)), subjects.labels)
    return tuple(transferred(int(fell.sum()), len(subjects), reference))


def pushed(surrogate: Victim, threat: Threat, subjects: Subjects, steps: int) -> Tensor:
    """Images ``(B, 3, H, W)`` within the threat model, pushed up the surrogate's loss by momentum steps (Dong et al. 2018, algorithm 1).

    Unlike an attack on the model itself it does not stop at a mistake: the further the loss rises, the better images transfer.
    """
    now, momentum = subjects.images, torch.zeros_like(subjects.images)
    for _ in range(steps):
        _, _, gradient = surrogate.gradient(now, ce, subjects.labels)
        momentum = momentum + gradient / gradient.flatten(1).abs().mean(1).clamp(min=1e-12).view(-1, 1, 1, 1)
        uphill = momentum.sign() if threat.norm is Norm.LINF else momentum / momentum.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
        now = threat.project(now + 2.5 * threat.epsilon / steps * uphill, subjects.images)
    return now
