"""Scores that are high on images like those a model was trained on and low on others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from efficient360.core.arrays import Floats
from efficient360.methods.uncertainty.mahalanobis import fit_gaussians
from efficient360.methods.uncertainty.neighbours import fit_neighbours

MSP: Final = "msp"
ENERGY: Final = "energy"
MAX_LOGIT: Final = "max-logit"
MAHALANOBIS: Final = "mahalanobis"
KNN: Final = "knn"
DETECTORS: Final = (MSP, ENERGY, MAX_LOGIT, MAHALANOBIS, KNN)


@final
@dataclass(frozen=True)
class Outputs:
    """What a model says of some images.

    Args:
        logits: ``(n, K)``.
        features: ``(n, D)``, ``None`` where the model offers none.
    """

    logits: Floats
    features: Floats | None


Score = Callable[[Outputs], Floats]


def msp(outputs: Outputs) -> Floats:
    """Log of the largest softmax probability, ``(n,)`` at most 0 (Hendrycks & Gimpel 2017). The log keeps apart what rounding would call certain."""
    logits = outputs.logits.astype(np.float64)
    found: Floats = logits.max(axis=1) - logsumexp(logits, axis=1)
    return found


def energy(outputs: Outputs) -> Floats:
    """Negative free energy at temperature 1, ``log Σ exp logits``, ``(n,)`` (Liu et al. 2020, equation 4)."""
    found: Floats = logsumexp(outputs.logits.astype(np.float64), axis=1)
    return found


def max_logit(outputs: Outputs) -> Floats:
    """The largest logit, ``(n,)`` (Hendrycks et al. 2022, "Scaling Out-of-Distribution Detection for Real-World Settings")."""
    found: Floats = outputs.logits.astype(np.float64).max(axis=1)
    return found


ON_LOGITS: Final[Mapping[str, Score]] = {MSP: msp, ENERGY: energy, MAX_LOGIT: max_logit}
"""Detectors that need nothing but logits."""


def on_features(name: str, features: Floats, labels: NDArray[np.int64], k: int) -> Score:
    """A detector that looks at features, fitted on training images.

    Args:
        name: ``mahalanobis`` or ``knn``.
        features: Of training images, ``(n, D)``.
        labels: Their classes, ``(n,)``.
        k: Which nearest neighbour's distance counts, for ``knn``.

    Raises:
        Unsupported: The features do not vary.
    """
    fitted = fit_gaussians(features, labels) if name == MAHALANOBIS else fit_neighbours(features, k)

    def score(outputs: Outputs) -> Floats:
        assert outputs.features is not None  # the training images came from the same model and had some
        return fitted.score(outputs.features)

    return score
