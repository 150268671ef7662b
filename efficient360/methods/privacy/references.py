"""What reference models, trained with and without each example, make of the examples."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.arrays import Floats
from efficient360.errors import Unsupported

Mask = NDArray[np.bool_]


@final
@dataclass(frozen=True)
class References:
    """Reference models' answers on the attacked examples.

    Args:
        scaled: Logit-scaled confidences of the label, float64 ``(S, N)``.
        loss: Cross-entropies of the label, float64 ``(S, N)``.
        right: Whether the label came first, bool ``(S, N)``.
        inside: Whether a model was trained on an example, bool ``(S, N)``.
    """

    scaled: Floats
    loss: Floats
    right: Mask
    inside: Mask

    def __len__(self) -> int:
        """How many models, ``S``."""
        return len(self.inside)

    @property
    def accuracy_outside(self) -> float:
        """Share of right answers on examples that a model was not trained on."""
        return float(self.right[~self.inside].mean())


def evened(among: Mask, seed: int) -> Mask:
    """The same number of models for every example: as many as the example with the fewest has, drawn at random.

    Where members had fewer models than others, their means would be noisier, and the noise alone would tell them apart.

    Args:
        among: Models that may stand for an example, bool ``(S, N)``.
        seed: Of the draw.

    Returns:
        bool ``(S, N)`` with equal column sums; nowhere true where some example has no model at all.
    """
    fewest = int(among.sum(axis=0).min())
    order = np.random.default_rng(seed).random(among.shape)
    order[~among] = np.inf
    rank = order.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    return among & (rank < fewest)


def require(among: Mask, what: str) -> None:
    """Check that every example has a model.

    Raises:
        Unsupported: Some example has none.
    """
    missing = int((~among.any(axis=0)).sum())
    if missing:
        raise Unsupported(
            "no-reference-model",
            f"{missing} of {among.shape[1]} images have no reference model {what}",
            "give more shadow models, trained on random halves of images from both splits",
        )


def means(values: Floats, among: Mask) -> Floats:
    """Mean over the chosen models of each example, ``(N,)``."""
    mean: Floats = np.where(among, values, 0.0).sum(axis=0) / among.sum(axis=0)
    return mean
