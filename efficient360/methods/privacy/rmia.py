"""The robust membership inference attack (Zarifzadeh, Liu & Shokri 2024): whether the model is surer of the example than usual, against others."""

import numpy as np

from efficient360.core.arrays import Floats
from efficient360.methods.privacy.references import References, evened, means, require

ONLINE, OFFLINE = "RMIA online", "RMIA offline"
GAMMA = 1.0
"""How many times likelier the example must be than another one to count, as in the authors' code."""
TRUST = 0.3
"""``a`` of the offline approximation: how much of the mean over all models those trained without the example are taken to tell."""


def online(target_loss: Floats, references: References, seed: int) -> Floats:
    """Share of other non-members that the example beats, in [0, 1], float64 ``(N,)``; what is usual is the mean over models with and without it.

    Args:
        target_loss: The attacked model's cross-entropies ``(N,)``, members in the first half.
        references: Of the same examples.
        seed: Of the draw of models where examples have unequally many.

    Raises:
        Unsupported: An example was in no model's training, or in every one's.
    """
    require(references.inside, "that was trained with them")
    require(~references.inside, "that was trained without them")
    probability = np.exp(-references.loss)
    both = [means(probability, evened(among, seed + i)) for i, among in enumerate((references.inside, ~references.inside))]
    return _beaten(target_loss, (both[0] + both[1]) / 2)


def offline(target_loss: Floats, references: References, seed: int) -> Floats:
    """As :func:`online` with models trained without the example only: ((1 + a) P_out + 1 − a) / 2 stands for the mean.

    Raises:
        Unsupported: An example was in every model's training.
    """
    require(~references.inside, "that was trained without them")
    outside = means(np.exp(-references.loss), evened(~references.inside, seed + 1))
    return _beaten(target_loss, ((1 + TRUST) * outside + (1 - TRUST)) / 2)


def _beaten(loss: Floats, usual: Floats) -> Floats:
    """Share of non-members z, the example itself left out, with ratio(x) ≥ γ · ratio(z), where ratio = p / usual."""
    ratio = -loss - np.log(np.maximum(usual, 1e-300))
    n = len(ratio) // 2
    others = np.sort(ratio[n:])
    beaten = np.searchsorted(others, ratio - np.log(GAMMA), side="right").astype(np.float64)
    # A non-member stands among the others itself; with γ = 1 it always beats itself.
    itself = np.arange(len(ratio)) >= n
    beaten[itself] -= ratio[itself] - np.log(GAMMA) >= ratio[itself]
    share: Floats = beaten / np.where(itself, len(others) - 1, len(others))
    return share
