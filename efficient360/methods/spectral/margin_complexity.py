"""Spectrally-normalised complexity and margins (Bartlett, Foster & Telgarsky 2017)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efficient360.methods.spectral.layers import Layer


def log10_complexity(log10_product: float, layers: Sequence[Layer]) -> float:
    """Decimal logarithm of the spectral complexity R (Eq. 1.2), with zero matrices as reference.

    ``R = (Π ρ_i ‖A_i‖) · (Σ (‖A_iᵀ‖_2,1 / ‖A_i‖)^⅔)^(3/2)``: ‖·‖ the spectral norm, ρ the activations' slopes, ‖·‖_2,1 the sum of the lengths of the rows of A,
    those of one position where the weights are shared.

    Args:
        log10_product: Decimal logarithm of the first factor.
        layers: None of them zero.
    """
    spread = sum((layer.spectrum.row_norms / layer.spectrum.norm) ** (2 / 3) for layer in layers)
    return log10_product + 1.5 * math.log10(spread)


def margins(logits: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The true class's logit less the largest other one, float64 ``(n,)``: negative where the answer is wrong.

    Args:
        logits: ``(n, K)``, at least two classes.
        labels: int64 ``(n,)``.
    """
    others = np.asarray(logits, dtype=np.float64).copy()
    rows = np.arange(len(labels))
    true = others[rows, labels]
    others[rows, labels] = -np.inf
    found: NDArray[np.float64] = true - others.max(1)
    return found


def log10_normalised(margin: float, log10_of_complexity: float, length: float, n: int) -> float:
    """Decimal logarithm of a margin normalised by R ‖X‖₂ / n (Sec. 2).

    Args:
        margin: Positive.
        log10_of_complexity: From :func:`log10_complexity`.
        length: Root mean square of the length of an input; ‖X‖₂ = length · √n.
        n: Examples that the network was trained on.
    """
    return math.log10(margin) - log10_of_complexity - math.log10(length / math.sqrt(n))
