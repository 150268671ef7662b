"""A Gaussian over the weights of the last layer, from the curvature of the training loss there (last-layer Laplace approximation).

Kristiadi, Hein & Hennig 2020; Daxberger et al. 2021. The generalised Gauss–Newton matrix stands for the Hessian: for a softmax on a linear layer the two
are the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy.optimize import brentq

from efficient360.core.arrays import Floats
from efficient360.errors import Unsupported

FULL_UP_TO: Final = 4000
"""Weights up to which the whole matrix is taken apart: 128 MB, and seconds for its eigenvalues."""
FLAT: Final = 1e-20


@final
@dataclass(frozen=True)
class Curvature:
    """The curvature of the summed training loss in the weights, taken apart.

    Args:
        eigenvalues: float64 ``(K, D)``, at least 0.
        turn: From coordinates along the eigenvectors ``(K, D)`` to weights ``(K, D)``.
        structure: ``full`` or ``kronecker``.
    """

    eigenvalues: Floats
    turn: Callable[[Floats], Floats]
    structure: str


def curvature(features: Floats, probabilities: Floats, scale: float, full_up_to: int = FULL_UP_TO) -> Curvature:
    """Generalised Gauss–Newton matrix ``Σ (diag p − p pᵀ) ⊗ φ φᵀ``: whole, or as one Kronecker product where it has too many weights.

    Args:
        features: ``φ`` of training images, with a column of ones for a bias, float64 ``(n, D)``.
        probabilities: ``p`` of the classes, float64 ``(n, K)``.
        scale: How many training images each of these stands for.
        full_up_to: The most weights ``K D`` of the whole matrix.
    """
    if features.shape[1] * probabilities.shape[1] <= full_up_to:
        return _full(features, probabilities, scale)
    return _kronecker(features, probabilities, scale)


def _full(features: Floats, probabilities: Floats, scale: float) -> Curvature:
    d, k = features.shape[1], probabilities.shape[1]
    matrix = np.empty((k, d, k, d))
    for i in range(k):
        for j in range(i + 1):
            weights = probabilities[:, i] * ((i == j) - probabilities[:, j])
            block = (features * weights[:, None]).T @ features
            matrix[i, :, j], matrix[j, :, i] = block, block
    values, vectors = np.linalg.eigh(scale * matrix.reshape(k * d, k * d))
    return Curvature(np.maximum(values, 0.0).reshape(k, d), lambda at: (vectors @ at.ravel()).reshape(k, d), "full")


def _kronecker(features: Floats, probabilities: Floats, scale: float) -> Curvature:
    """Sum over images of the one factor times the mean of the other (Ritter, Botev & Barber 2018, equation 6)."""
    classes = np.diag(probabilities.sum(axis=0)) - probabilities.T @ probabilities
    outputs, left = np.linalg.eigh(scale * classes)
    inputs, right = np.linalg.eigh(features.T @ features / len(features))
    eigenvalues = np.outer(np.maximum(outputs, 0.0), np.maximum(inputs, 0.0))
    return Curvature(eigenvalues, lambda at: left @ at @ right.T, "kronecker")


def best_precision(weights: Floats, of: Curvature) -> float:
    """The prior's precision ``δ`` that makes the training labels most likely, the weights averaged over (MacKay 1992).

    The log marginal likelihood ``½ (K D log δ − Σ log (λ + δ) − δ ‖θ‖²)`` and a constant has one maximum, where ``Σ λ / (λ + δ) = δ ‖θ‖²``: the left
    side falls with ``δ`` and the right one rises.

    Args:
        weights: ``θ``, ``(K, D)``.
        of: Its eigenvalues are ``λ``.

    Raises:
        Unsupported: The loss has no curvature: every training image is named with certainty.
    """
    if of.eigenvalues.max() < FLAT:
        raise Unsupported("flat-loss", "the model is certain of every training image, so its loss has no curvature", "calibrate the model first")
    norm = max(float(np.square(weights).sum()), 1e-12)

    def balance(log: float) -> float:
        delta = np.exp(log)
        return float(np.log((of.eigenvalues / (of.eigenvalues + delta)).sum() + 1e-300) - np.log(delta * norm))

    return float(np.exp(brentq(balance, -60.0, 60.0)))


def draw(weights: Floats, of: Curvature, precision: float, draws: int, seed: int) -> Iterator[Floats]:
    """Weights ``(K, D)`` from the Gaussian around ``weights`` whose precision is the curvature and the prior's together.

    Args:
        weights: The trained ones, ``(K, D)``.
        of: The curvature.
        precision: The prior's.
        draws: How many.
        seed: Draw ``s`` depends on it and on ``s`` alone.
    """
    deviations = 1 / np.sqrt(of.eigenvalues + precision)
    for s in range(draws):
        yield weights + of.turn(np.random.default_rng([seed, s]).standard_normal(weights.shape) * deviations)
