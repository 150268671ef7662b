"""The likelihood-ratio attack (Carlini et al. 2022): whether a confidence is nearer to that of models trained with the example, or without."""

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.methods.privacy.references import Mask, References, evened, means, require

ONLINE, OFFLINE = "LiRA online", "LiRA offline"
_LEAST = 1e-6


def online(target: Floats, references: References, seed: int) -> Floats:
    """Log likelihood ratio of trained with against trained without, float64 ``(N,)`` (algorithm 1).

    Both are normal with a mean for each example and a deviation shared by all, as suits few shadow models.

    Args:
        target: The attacked model's logit-scaled confidences ``(N,)``.
        references: Of the same examples.
        seed: Of the draw of models where examples have unequally many.

    Raises:
        Unsupported: An example was in no model's training, or in every one's.
    """
    require(references.inside, "that was trained with them")
    require(~references.inside, "that was trained without them")
    ratio = np.zeros_like(target)
    for among, sign in ((evened(references.inside, seed), 1.0), (evened(~references.inside, seed + 1), -1.0)):
        centre, deviation = _fitted(references.scaled, among)
        ratio += sign * (-np.log(deviation) - 0.5 * ((target - centre) / deviation) ** 2)
    return ratio


def offline(target: Floats, references: References, seed: int) -> Floats:
    """How far the confidence lies above that of models trained without the example, in shared deviations, float64 ``(N,)``.

    Args:
        target: The attacked model's logit-scaled confidences ``(N,)``.
        references: Of the same examples.
        seed: Of the draw of models where examples have unequally many.

    Raises:
        Unsupported: An example was in every model's training.
    """
    require(~references.inside, "that was trained without them")
    centre, deviation = _fitted(references.scaled, evened(~references.inside, seed + 1))
    above: Floats = (target - centre) / deviation
    return above


def _fitted(scaled: Floats, among: Mask) -> tuple[Floats, float]:
    """Mean of each example, and the deviation around it pooled over all; between examples where each has one model only."""
    centre = means(scaled, among)
    freedom = int(among.sum()) - among.shape[1]
    if freedom == 0:
        return centre, max(float(centre.std()), _LEAST)
    squares = (np.where(among, scaled - centre, 0.0) ** 2).sum()
    return centre, max(float(np.sqrt(squares / freedom)), _LEAST)
