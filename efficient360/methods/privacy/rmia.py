"""The robust membership inference attack RMIA (Zarifzadeh, Liu & Shokri 2024): likelihood ratio of the example against those of population examples."""

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.methods.privacy.shadow_models import ShadowOutputs, equalised, mean_over_models, require_models

ONLINE, OFFLINE = "RMIA online", "RMIA offline"
GAMMA = 1.0
"""γ: how many times larger the example's ratio must be than that of a population example to dominate it, as in the authors' code."""
OFFLINE_A = 0.3
"""``a`` of the offline approximation, by which the mean over models trained without the example is extrapolated to that over all models."""


def online(target_loss: Floats, shadows: ShadowOutputs, seed: int) -> Floats:
    """Share of the non-members that the example dominates, in [0, 1], float64 ``(N,)``, with p(x) the mean over models with and without it.

    Args:
        target_loss: The attacked model's cross-entropies ``(N,)``, members in the first half.
        shadows: Shadow models' outputs on the same examples.
        seed: Of the choice of models where examples have unequally many.

    Raises:
        Unsupported: An example was in no shadow model's training, or in every one's.
    """
    require_models(shadows.is_member, "that was trained with them")
    require_models(~shadows.is_member, "that was trained without them")
    probability = np.exp(-shadows.loss)
    both = [mean_over_models(probability, equalised(mask, seed + i)) for i, mask in enumerate((shadows.is_member, ~shadows.is_member))]
    return _dominated_share(target_loss, (both[0] + both[1]) / 2)


def offline(target_loss: Floats, shadows: ShadowOutputs, seed: int) -> Floats:
    """As :func:`online` with models trained without the example only: p(x) is approximated by ((1 + a) p_out + 1 − a) / 2.

    Raises:
        Unsupported: An example was in every shadow model's training.
    """
    require_models(~shadows.is_member, "that was trained without them")
    p_out = mean_over_models(np.exp(-shadows.loss), equalised(~shadows.is_member, seed + 1))
    return _dominated_share(target_loss, ((1 + OFFLINE_A) * p_out + (1 - OFFLINE_A)) / 2)


def _dominated_share(loss: Floats, mean_probability: Floats) -> Floats:
    """Share of non-members z, the example itself left out, with ratio(x) ≥ γ · ratio(z), where ratio = p_target / mean_probability (equation 4)."""
    ratio = -loss - np.log(np.maximum(mean_probability, 1e-300))
    n = len(ratio) // 2
    population = np.sort(ratio[n:])
    dominated = np.searchsorted(population, ratio - np.log(GAMMA), side="right").astype(np.float64)
    # A non-member is part of the population itself; with γ = 1 it always dominates itself.
    in_population = np.arange(len(ratio)) >= n
    dominated[in_population] -= ratio[in_population] - np.log(GAMMA) >= ratio[in_population]
    share: Floats = dominated / np.where(in_population, len(population) - 1, len(population))
    return share
