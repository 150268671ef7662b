"""Last-layer Laplace approximation: a Gaussian posterior over the weights of the classifier, from the curvature of the training loss.

Kristiadi, Hein & Hennig 2020; Daxberger et al. 2021. The generalised Gauss–Newton matrix equals the Hessian for a softmax on a linear layer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax
from torch import nn

from efficient360.core.arrays import Floats
from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.model_outputs import ModelOutputs

FULL_UP_TO: Final = 4000
"""Weights up to which the full matrix is decomposed: 128 MB, and seconds for its eigenvalues."""
FLAT: Final = 1e-20
"""Largest eigenvalue below which the loss has no curvature."""
LOGIT_TOLERANCE: Final = 1e-3
"""Difference between logits, relative to the largest, that rounding explains."""


@final
@dataclass(frozen=True)
class Curvature:
    """Eigendecomposition of the curvature of the summed training loss with respect to the weights.

    Args:
        eigenvalues: float64 ``(K, D)``, at least 0.
        to_weights: From coordinates along the eigenvectors ``(K, D)`` to weights ``(K, D)``.
        structure: ``full`` or ``kronecker``.
    """

    eigenvalues: Floats
    to_weights: Callable[[Floats], Floats]
    structure: str


def ggn_curvature(features: Floats, probabilities: Floats, scale: float, full_up_to: int = FULL_UP_TO) -> Curvature:
    """Generalised Gauss–Newton matrix ``Σ (diag p − p pᵀ) ⊗ φ φᵀ``: in full, or as a single Kronecker product where there are too many weights.

    Args:
        features: ``φ`` of training images, with a column of ones for a bias, float64 ``(n, D)``.
        probabilities: ``p`` of the classes, float64 ``(n, K)``.
        scale: How many training images each row represents.
        full_up_to: Weights ``K D`` up to which the full matrix is used.
    """
    if features.shape[1] * probabilities.shape[1] <= full_up_to:
        return _full(features, probabilities, scale)
    return _kronecker(features, probabilities, scale)


def _full(features: Floats, probabilities: Floats, scale: float) -> Curvature:
    d, k = features.shape[1], probabilities.shape[1]
    matrix = np.empty((k, d, k, d))
    for i in range(k):
        for j in range(i + 1):
            hessian = probabilities[:, i] * ((i == j) - probabilities[:, j])
            block = (features * hessian[:, None]).T @ features
            matrix[i, :, j], matrix[j, :, i] = block, block
    values, vectors = np.linalg.eigh(scale * matrix.reshape(k * d, k * d))
    return Curvature(np.maximum(values, 0.0).reshape(k, d), lambda coordinates: (vectors @ coordinates.ravel()).reshape(k, d), "full")


def _kronecker(features: Floats, probabilities: Floats, scale: float) -> Curvature:
    """Kronecker-factored: sum over images of the output factor times the mean of the input factor (Ritter, Botev & Barber 2018, equation 6)."""
    output_factor = np.diag(probabilities.sum(axis=0)) - probabilities.T @ probabilities
    outputs, left = np.linalg.eigh(scale * output_factor)
    inputs, right = np.linalg.eigh(features.T @ features / len(features))
    eigenvalues = np.outer(np.maximum(outputs, 0.0), np.maximum(inputs, 0.0))
    return Curvature(eigenvalues, lambda coordinates: left @ coordinates @ right.T, "kronecker")


def optimal_prior_precision(weights: Floats, curvature: Curvature) -> float:
    """The prior precision ``δ`` of maximal marginal likelihood (MacKay 1992).

    The log marginal likelihood ``½ (K D log δ − Σ log (λ + δ) − δ ‖θ‖²)`` plus a constant has one maximum, where ``Σ λ / (λ + δ) = δ ‖θ‖²``: the left
    side decreases with ``δ`` and the right side increases.

    Args:
        weights: ``θ``, ``(K, D)``.
        curvature: Its eigenvalues are ``λ``.

    Raises:
        Unsupported: The loss has no curvature: every training image is classified with certainty.
    """
    if curvature.eigenvalues.max() < FLAT:
        raise Unsupported("flat-loss", "the model is certain of every training image, so its loss has no curvature", "calibrate the model first")
    norm = max(float(np.square(weights).sum()), 1e-12)

    def balance(log: float) -> float:
        delta = np.exp(log)
        return float(np.log((curvature.eigenvalues / (curvature.eigenvalues + delta)).sum() + 1e-300) - np.log(delta * norm))

    return float(np.exp(brentq(balance, -60.0, 60.0)))


def sample_weights(weights: Floats, curvature: Curvature, precision: float, draws: int, seed: int) -> Iterator[Floats]:
    """Weights ``(K, D)`` from the Gaussian posterior around ``weights`` whose precision is the curvature plus that of the prior.

    Args:
        weights: The trained ones, ``(K, D)``.
        curvature: Of the training loss.
        precision: Of the prior.
        draws: Number of samples.
        seed: Sample ``s`` depends only on it and on ``s``.
    """
    deviations = 1 / np.sqrt(curvature.eigenvalues + precision)
    for s in range(draws):
        yield weights + curvature.to_weights(np.random.default_rng([seed, s]).standard_normal(weights.shape) * deviations)


@final
@dataclass(frozen=True)
class LastLayerPosterior:
    """Gaussian posterior over the weights of the last layer.

    Args:
        weights: The trained weights, with the bias, if any, in the last column, float64 ``(K, D)``.
        curvature: Of the training loss.
        precision: Of the prior.
    """

    weights: Floats
    curvature: Curvature
    precision: float

    def sample_logits(self, features: Floats, draws: int, seed: int, check: Callable[[], None]) -> Iterator[Floats]:
        """Logits ``(n, K)`` under each of ``draws`` weight samples.

        Args:
            features: ``(n, D)``.
            draws: Number of weight samples.
            seed: Of the samples.
            check: Called before each; may raise.
        """
        inputs = append_bias_column(features, self.weights.shape[1])
        for weights in sample_weights(self.weights, self.curvature, self.precision, draws, seed):
            check()
            yield inputs @ weights.T


def fit_last_layer_laplace(layer: nn.Linear, training: ModelOutputs, scale: float) -> LastLayerPosterior:
    """The Laplace approximation of a trained last layer.

    Args:
        layer: The classifier, features to logits.
        training: Model outputs on training images.
        scale: How many training images each of these represents.

    Raises:
        Unsupported: There are no features, the layer does not map them to the model's logits, or the loss has no curvature.
    """
    columns = [layer.weight.detach().cpu().double().numpy()]
    columns += [] if layer.bias is None else [layer.bias.detach().cpu().double().numpy()[:, None]]
    weights = np.concatenate(columns, axis=1)
    features = append_bias_column(training.require_features(), weights.shape[1])
    logits = features @ weights.T
    if np.abs(logits - training.logits).max() > LOGIT_TOLERANCE * max(1.0, float(np.abs(training.logits).max())):
        message = "the last layer does not map the model's features to its logits"
        raise Unsupported("classifier-mismatch", message, "some operation between them is not covered; no setting helps")
    curvature = ggn_curvature(features, softmax(logits, axis=1), scale)
    return LastLayerPosterior(weights, curvature, optimal_prior_precision(weights, curvature))


def append_bias_column(features: Floats, columns: int) -> Floats:
    """Features ``(n, D)`` in float64, padded with ones to ``columns``: one extra column where there is a bias."""
    return np.pad(features.astype(np.float64), ((0, 0), (0, columns - features.shape[1])), constant_values=1.0)
