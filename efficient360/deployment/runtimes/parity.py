"""The parity gate: an artefact counts only if its logits are the reference model's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.deployment.runtimes.runtime import Precision

TOLERANCE: Mapping[Precision, float] = {
    Precision.FP32: 0.01,
    Precision.FP16: 0.05,
    Precision.BF16: 0.10,
    Precision.W16: 0.02,
    Precision.W8: 0.10,
    Precision.INT8_DYNAMIC: 0.35,
    Precision.INT8_SMOOTH: 0.35,
    Precision.INT8: 0.35,
    Precision.W4_GPTQ: 0.6,
    Precision.W4: 0.6,
    Precision.INT4_DYNAMIC: 0.6,
}
"""Largest mean difference of logits, as a share of their spread, that passes.

Rounding to a type is known beforehand (fp16 keeps 11 bits, which a small ViT's logits show as 0.0005; 8 bits by output channel as 0.01), so ten
times as much is a broken conversion. Activations in 8 bits by tensor and weights in 4 bits cost what the network makes of them (0.02 and 0.2 there,
more where there are outliers): their gate finds what is broken or ruined, and what is merely lost is a matter of accuracy."""
AGREEMENT = 0.9
"""Least top-1 agreement that passes, over images whose top-1 is decided by more than the difference allowed."""


@final
@dataclass(frozen=True)
class Parity:
    """How far an artefact's logits are from the reference model's on the same images.

    Args:
        images: How many images.
        largest: Largest absolute difference of a logit.
        mean: Mean absolute difference of logits.
        spread: Mean absolute deviation of the reference's logits from their mean over classes; what a difference is to be held against.
        agreement: Share of images with the same top-1 class, in [0, 1].
        decided: How many images have a top-1 that the tolerance can't overturn.
        decided_agreement: Share of those with the same top-1; 1 where there are none.
        passed: Whether the artefact counts.
        reason: Why not, ``""`` when it does.
        per_image: Mean absolute difference of each image's logits, as a share of the spread.
    """

    images: int
    largest: float
    mean: float
    spread: float
    agreement: float
    decided: int
    decided_agreement: float
    passed: bool
    reason: str
    per_image: tuple[float, ...] = ()

    @property
    def relative(self) -> float:
        """Mean difference as a share of the spread."""
        return self.mean / self.spread


def parity(reference: NDArray[np.float32], logits: NDArray[np.float32], precision: Precision) -> Parity:
    """Compare logits ``(n, K)``.

    Args:
        reference: The checkpoint's own, from torch in float32.
        logits: The artefact's.
        precision: Sets the tolerance.

    Returns:
        The comparison; not passed when shapes differ, a value is not finite, the mean difference exceeds the tolerance, or top-1 differs too often.
    """
    if reference.shape != logits.shape or not np.isfinite(logits).all():
        what = "not finite" if reference.shape == logits.shape else f"of shape {logits.shape} in place of {reference.shape}"
        return Parity(len(reference), 0.0, 0.0, 1.0, 0.0, 0, 0.0, False, f"its logits are {what}")
    difference = np.abs(reference.astype(np.float64) - logits)
    spread = float(np.abs(reference - reference.mean(1, keepdims=True)).mean())
    tolerance = TOLERANCE[precision]
    same = reference.argmax(1) == logits.argmax(1)
    ordered = np.sort(reference, axis=1)
    margin = ordered[:, -1] - ordered[:, -2] if reference.shape[1] > 1 else np.zeros(len(reference))
    decided = margin > 2 * tolerance * spread
    agreement = float(same[decided].mean()) if decided.any() else 1.0
    mean = float(difference.mean())
    reason = ""
    if spread == 0 or mean > tolerance * spread:
        share = 100 * mean / spread if spread else float("inf")
        reason = f"its logits are off by {share:.3g} % of their spread, {100 * tolerance:.3g} % are allowed"
    elif agreement < AGREEMENT:
        reason = f"it names another class for {100 * (1 - agreement):.0f} % of the images whose class is clear"
    return Parity(
        len(reference),
        float(difference.max()),
        mean,
        spread or 1.0,
        float(same.mean()),
        int(decided.sum()),
        agreement,
        not reason,
        reason,
        tuple((difference.mean(1) / (spread or 1.0)).tolist()),
    )
