"""Checks for gradient masking and other causes of overestimated robustness (Athalye, Carlini & Wagner 2018), each finding with advice.

Before the attacks: randomness, probabilities instead of logits, vanishing gradients. After them: black-box and transfer attacks that succeed
where gradient attacks failed.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from efficient360.core.findings import Finding
from efficient360.errors import SettingsError
from efficient360.methods.adversarial.attack import AttackBatch, misclassified
from efficient360.methods.adversarial.attack_curve import AttackCurve
from efficient360.methods.adversarial.losses import ce
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

ROUNDING = 1e-4
"""Relative difference between two passes over the same images that rounding explains."""
SOURCE = "Athalye, Carlini & Wagner 2018, section 3.1"


def clean_image_findings(victim: Victim, images: Tensor, labels: Tensor) -> Iterator[Finding]:
    """What a few clean images reveal: randomness, outputs that are probabilities, vanishing gradients.

    Args:
        victim: The model that will be attacked.
        images: ``(B, 3, H, W)`` in [0, 1].
        labels: int64 ``(B,)``.
    """
    logits, again = victim.logits(images), victim.logits(images)
    spread = float((logits - again).abs().max() / logits.abs().max().clamp(min=1e-12))
    if spread > ROUNDING:
        yield Finding(
            "random-forward",
            f"two passes over the same images differ by {100 * spread:.2g} % of the largest logit",
            "switch the randomness off, or attack the expectation over it (Athalye et al. 2018)",
        )
    if bool((logits >= 0).all()) and torch.allclose(logits.sum(1), torch.ones(len(logits), device=logits.device), atol=1e-4):
        message = "the outputs are probabilities: their cross-entropy saturates and hides gradients"
        yield Finding("softmax-outputs", message, "give the logits before the softmax")
    _, _, gradient = victim.gradient(images, ce, labels)
    flat = int((gradient.flatten(1).abs().amax(1) == 0).sum())
    if flat:
        yield Finding(
            "zero-gradients",
            f"the loss of {flat} of {len(images)} clean images has no gradient at all: gradient attacks are blind there ({SOURCE})",
            "add square or rays to the attacks, or a surrogate; a quantiser needs a straight-through gradient",
        )


def black_box_findings(curve: AttackCurve) -> Iterator[Finding]:
    """Black-box attacks that succeed within the same ε on examples that were robust to every gradient attack."""
    gradient = np.array([attack.gradients for attack in curve.attacks] + [False])
    if not gradient.any():
        return
    robust_to_gradients = int((curve.correct & ~gradient[curve.attack_index]).sum())
    for place, attack in enumerate(curve.attacks):
        if attack.gradients or not gradient[:place].any():
            continue
        successes = int((curve.correct & (curve.attack_index == place)).sum())
        if successes:
            yield Finding(
                "masked-gradients",
                f"{attack.title}, which uses no gradients, succeeded on {successes} of the {robust_to_gradients} examples that were robust to the "
                f"gradient attacks ({SOURCE})",
                "gradients may be masked: trust the worst case, raise the queries, and try a surrogate",
            )


def transfer_findings(victim: Victim, reference: str, threat: ThreatModel, batch: AttackBatch, steps: int) -> Iterator[Finding]:
    """Transfer attack: adversarial examples of a surrogate model, which need none of the victim's own gradients.

    Args:
        victim: The model whose robust accuracy is checked.
        reference: The surrogate, as ``efficient360 evaluate`` takes a checkpoint.
        threat: Where to attack.
        batch: Examples that are robust to all attacks on the victim itself.
        steps: Gradient steps.

    Raises:
        CheckpointError: The surrogate can't be loaded.
        SettingsError: It has other classes or takes images of another size.
    """
    if not len(batch):
        return
    surrogate = load_model(resolve(CheckpointSpec(reference)), victim.device)
    if surrogate.num_classes != victim.num_classes or surrogate.input_size != tuple(batch.images.shape[1:]):
        sizes = f"{surrogate.num_classes} classes and takes {surrogate.input_size}, the model {victim.num_classes} and {victim.model.input_size}"
        message = f"the surrogate {reference} has {sizes}"
        raise SettingsError("bad-surrogate", message, "take a surrogate with the same classes and image size")
    images = momentum_iterative(Victim(surrogate, victim.rows), threat, batch, steps)
    successes = int(misclassified(victim.logits(images), batch.labels).sum())
    if successes:
        yield Finding(
            "transfer",
            f"adversarial examples of {reference} also fool the model on {successes} of {len(batch)} examples that were robust to the attacks on "
            f"the model itself ({SOURCE})",
            "the attacks on the model itself are too weak or its gradients masked: its true robust accuracy is lower than reported",
        )


def momentum_iterative(surrogate: Victim, threat: ThreatModel, batch: AttackBatch, steps: int) -> Tensor:
    """MI-FGSM on the surrogate (Dong et al. 2018, algorithm 1), ``(B, 3, H, W)`` within the threat model.

    Unlike an attack on the model itself it does not stop at a misclassification: the further the loss rises, the better images transfer.
    """
    current, momentum = batch.images, torch.zeros_like(batch.images)
    for _ in range(steps):
        _, _, gradient = surrogate.gradient(current, ce, batch.labels)
        momentum = momentum + gradient / gradient.flatten(1).abs().mean(1).clamp(min=1e-12).view(-1, 1, 1, 1)
        ascent = momentum.sign() if threat.norm is Norm.LINF else momentum / momentum.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
        current = threat.project(current + 2.5 * threat.epsilon / steps * ascent, batch.images)
    return current
