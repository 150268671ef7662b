"""What makes a membership attack's number less sure, each with its advice."""

from collections.abc import Iterator

from efficient360.core import formatting
from efficient360.core.findings import Finding
from efficient360.core.measurement import Measurement
from efficient360.methods.privacy.blind import differ


def before_the_model(pixels: Measurement, shared: int) -> Iterator[Finding]:
    """What the two splits tell on their own.

    Args:
        pixels: The blind classifier's AUC.
        shared: Pairs that were left out because the same image stands on both sides.
    """
    if differ(pixels):
        auc, ends = formatting.number(pixels.value, pixels.metric), formatting.interval(pixels.interval, pixels.metric)
        yield Finding(
            "told-by-pixels",
            f"the pixels alone tell training images from the others with an AUC of {auc} ({ends}), before the model has seen them",
            "the attacks' numbers mean nothing about memorisation here: take a split drawn at random from the same source",
        )
    if shared:
        yield Finding(
            "shared-images",
            f"{formatting.count(shared)} images stood on both sides, pixel for pixel, and were left out",
            "the evaluated split holds training images: its accuracy is flattered too",
        )


def lower_bound() -> Finding:
    """What attacks on one checkpoint can't tell."""
    return Finding(
        "lower-bound",
        "every attack looked at this one checkpoint only: a low AUC is no evidence of privacy, stronger attacks exist (Carlini et al. 2022)",
        "set shadows to 16 or more, or give shadow_checkpoints",
    )


def unlike_shadows(shadows: float, target: float) -> Iterator[Finding]:
    """Shadow models that are much better or worse than the checkpoint on images that neither was trained on.

    Args:
        shadows: Their mean accuracy on images they were not trained on.
        target: The checkpoint's accuracy on images it was not trained on.
    """
    if abs(shadows - target) > 0.1:
        yield Finding(
            "unlike-shadows",
            f"on images they were not trained on, shadow models are right in {100 * shadows:.0f} %, the checkpoint in {100 * target:.0f} %",
            "shadows that learn otherwise than the checkpoint make weaker attacks: change their epochs or model, or give your own",
        )
