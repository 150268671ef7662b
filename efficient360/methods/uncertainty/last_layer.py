"""The last layer as a linear map of the kept features, and what its weights could also have been."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy.special import softmax
from torch import nn

from efficient360.core.arrays import Floats
from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.detectors import Outputs
from efficient360.methods.uncertainty.laplace import Curvature, best_precision, curvature, draw

ROUNDING: Final = 1e-3
"""Difference of logits, in units of their largest, that rounding explains."""


@final
@dataclass(frozen=True)
class LastLayer:
    """A Gaussian over the weights of the last layer.

    Args:
        weights: The trained ones, the bias in the last column where there is one, float64 ``(K, D)``.
        curvature: Of the training loss.
        precision: The prior's.
    """

    weights: Floats
    curvature: Curvature
    precision: float

    def members(self, features: Floats, draws: int, seed: int, check: Callable[[], None]) -> Iterator[Floats]:
        """Logits ``(n, K)`` under each of ``draws`` weights.

        Args:
            features: ``(n, D)``.
            draws: How many weights.
            seed: Of the weights.
            check: Called before each; may raise.
        """
        inputs = widened(features, self.weights.shape[1])
        for weights in draw(self.weights, self.curvature, self.precision, draws, seed):
            check()
            yield inputs @ weights.T


def fit_last_layer(layer: nn.Linear, training: Outputs, scale: float) -> LastLayer:
    """The Laplace approximation of a trained last layer.

    Args:
        layer: The classifier, features to logits.
        training: What the model says of training images.
        scale: How many training images each of these stands for.

    Raises:
        Unsupported: The layer does not make the model's logits out of its features, or the loss has no curvature.
    """
    assert training.features is not None  # the evaluator needs features
    columns = [layer.weight.detach().cpu().double().numpy()]
    columns += [] if layer.bias is None else [layer.bias.detach().cpu().double().numpy()[:, None]]
    weights = np.concatenate(columns, axis=1)
    features = widened(training.features, weights.shape[1])
    logits = features @ weights.T
    if np.abs(logits - training.logits).max() > ROUNDING * max(1.0, float(np.abs(training.logits).max())):
        message = "the last layer does not make the model's logits out of its features"
        raise Unsupported("classifier-mismatch", message, "something stands between them that the features don't show")
    found = curvature(features, softmax(logits, axis=1), scale)
    return LastLayer(weights, found, best_precision(weights, found))


def widened(features: Floats, columns: int) -> Floats:
    """Features ``(n, D)`` in float64, with as many columns of ones as are missing: one where there is a bias."""
    return np.pad(features.astype(np.float64), ((0, 0), (0, columns - features.shape[1])), constant_values=1.0)
