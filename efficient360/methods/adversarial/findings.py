"""What makes a robust accuracy look better than it is: checks before and after the attacks, each with its advice."""

from collections.abc import Iterator

import torch
from torch import Tensor

from efficient360.core.findings import Finding
from efficient360.methods.adversarial.losses import ce
from efficient360.methods.adversarial.victim import Victim

ROUNDING = 1e-4
"""Relative difference of two passes over the same images that rounding explains."""
MASKED = "Athalye, Carlini & Wagner 2018, section 3.1"


def preflight(victim: Victim, images: Tensor, labels: Tensor) -> Iterator[Finding]:
    """What a few clean images tell: randomness, outputs that are probabilities, gradients that vanish.

    Args:
        victim: What will be attacked.
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
            f"the loss of {flat} of {len(images)} clean images has no gradient at all: gradient attacks are blind there ({MASKED})",
            "add square or rays to the attacks, or a surrogate; a quantiser needs a straight-through gradient",
        )


def masked(felled: int, left: int, attack: str) -> Iterator[Finding]:
    """A black-box attack that succeeds where gradient attacks failed.

    Args:
        felled: Examples that stood after every gradient attack and fell to the black-box attack within the same ε.
        left: Examples that stood after every gradient attack.
        attack: The black-box attack in print.
    """
    if felled:
        yield Finding(
            "masked-gradients",
            f"{attack}, which sees no gradients, felled {felled} of the {left} examples that stood after the gradient attacks ({MASKED})",
            "gradients may be masked: trust the worst case, raise the queries, and try a surrogate",
        )


def transferred(fell: int, standing: int, surrogate: str) -> Iterator[Finding]:
    """Images made on another model that fool this one where attacks on itself did not.

    Args:
        fell: Standing examples that images made on the surrogate fool.
        standing: Examples that stood.
        surrogate: What it is called.
    """
    if fell:
        yield Finding(
            "transfer",
            f"images made on {surrogate} fool {fell} of {standing} examples that stood after the attacks on the model itself ({MASKED})",
            "the attacks on the model itself are too weak or its gradients masked: its robust accuracy is lower than the number says",
        )
