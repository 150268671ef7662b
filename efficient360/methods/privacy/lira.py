"""The likelihood-ratio attack LiRA (Carlini et al. 2022): likelihood of the confidence under models trained with and without the example."""

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.methods.privacy.shadow_models import ShadowOutputs, equalised, mean_over_models, require_models
from efficient360.methods.privacy.shadow_training import Mask

ONLINE, OFFLINE = "LiRA online", "LiRA offline"
_MIN_DEVIATION = 1e-6


def online(target: Floats, shadows: ShadowOutputs, seed: int) -> Floats:
    """Log likelihood ratio of member against non-member, float64 ``(N,)`` (algorithm 1).

    Both are normal distributions with a mean per example and a global standard deviation, as suits few shadow models.

    Args:
        target: The attacked model's logit-scaled confidences ``(N,)``.
        shadows: Shadow models' outputs on the same examples.
        seed: Of the choice of models where examples have unequally many.

    Raises:
        Unsupported: An example was in no shadow model's training, or in every one's.
    """
    require_models(shadows.is_member, "that was trained with them")
    require_models(~shadows.is_member, "that was trained without them")
    ratio = np.zeros_like(target)
    for selected, sign in ((equalised(shadows.is_member, seed), 1.0), (equalised(~shadows.is_member, seed + 1), -1.0)):
        mean, deviation = _fit_normal(shadows.scaled_confidence, selected)
        ratio += sign * (-np.log(deviation) - 0.5 * ((target - mean) / deviation) ** 2)
    return ratio


def offline(target: Floats, shadows: ShadowOutputs, seed: int) -> Floats:
    """Distance of the confidence above that of models trained without the example, in global standard deviations, float64 ``(N,)``.

    Args:
        target: The attacked model's logit-scaled confidences ``(N,)``.
        shadows: Shadow models' outputs on the same examples.
        seed: Of the choice of models where examples have unequally many.

    Raises:
        Unsupported: An example was in every shadow model's training.
    """
    require_models(~shadows.is_member, "that was trained without them")
    mean, deviation = _fit_normal(shadows.scaled_confidence, equalised(~shadows.is_member, seed + 1))
    distance: Floats = (target - mean) / deviation
    return distance


def _fit_normal(scaled_confidence: Floats, selected: Mask) -> tuple[Floats, float]:
    """Mean per example, and the standard deviation pooled over all; between examples where each has one model only."""
    mean = mean_over_models(scaled_confidence, selected)
    degrees_of_freedom = int(selected.sum()) - selected.shape[1]
    if degrees_of_freedom == 0:
        return mean, max(float(mean.std()), _MIN_DEVIATION)
    squares = (np.where(selected, scaled_confidence - mean, 0.0) ** 2).sum()
    return mean, max(float(np.sqrt(squares / degrees_of_freedom)), _MIN_DEVIATION)
