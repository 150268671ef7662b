"""Out-of-distribution detectors: scores that are high in distribution (MSP, energy, maximum logit, Mahalanobis distance, k nearest neighbours)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from efficient360.core.arrays import Floats
from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.model_outputs import ModelOutputs

MSP: Final = "msp"
ENERGY: Final = "energy"
MAX_LOGIT: Final = "max-logit"
MAHALANOBIS: Final = "mahalanobis"
KNN: Final = "knn"
DETECTORS: Final = (MSP, ENERGY, MAX_LOGIT, MAHALANOBIS, KNN)
ROWS: Final = 4096
"""Images whose Mahalanobis distances are computed at a time."""
MAX_DISTANCES: Final = 4_000_000
"""Distances to training images held at a time."""

DetectorScore = Callable[[ModelOutputs], Floats]
"""From model outputs of ``n`` images to their scores ``(n,)``, higher in distribution."""


def msp(outputs: ModelOutputs) -> Floats:
    """Log of the maximum softmax probability, ``(n,)`` at most 0 (Hendrycks & Gimpel 2017).

    The logarithm keeps apart probabilities that round to 1.
    """
    logits = outputs.logits.astype(np.float64)
    scores: Floats = logits.max(axis=1) - logsumexp(logits, axis=1)
    return scores


def energy(outputs: ModelOutputs) -> Floats:
    """Negative free energy at temperature 1, ``log Σ exp logits``, ``(n,)`` (Liu et al. 2020, equation 4)."""
    scores: Floats = logsumexp(outputs.logits.astype(np.float64), axis=1)
    return scores


def max_logit(outputs: ModelOutputs) -> Floats:
    """The maximum logit, ``(n,)`` (Hendrycks et al. 2022, "Scaling Out-of-Distribution Detection for Real-World Settings")."""
    scores: Floats = outputs.logits.astype(np.float64).max(axis=1)
    return scores


@final
@dataclass(frozen=True)
class Detector:
    """A detector as it is scored, and how to fit it anew.

    Args:
        score: Fitted on all of its training images, or on none where it needs none.
        refit: The same fitted on a resample of its training images, drawn by the generator; ``None`` where it is not fitted.
    """

    score: DetectorScore
    refit: Callable[[np.random.Generator], DetectorScore] | None = None


LOGIT_DETECTORS: Final[Mapping[str, Detector]] = {MSP: Detector(msp), ENERGY: Detector(energy), MAX_LOGIT: Detector(max_logit)}
"""Detectors that need only logits."""


def feature_detector(name: str, features: Floats, labels: NDArray[np.int64], k: int) -> Detector:
    """A detector on features, fitted on training images, that can be fitted anew on resamples of them.

    Args:
        name: ``mahalanobis`` or ``knn``.
        features: Of training images, ``(n, D)``.
        labels: Their classes, ``(n,)``.
        k: For ``knn``: the distance to the ``k``-th nearest neighbour is used.

    Raises:
        Unsupported: The features do not vary; from the detector: the model offers no features.
    """

    def refit(rng: np.random.Generator) -> DetectorScore:
        rows = rng.integers(0, len(features), len(features))
        return fit_feature_detector(name, features[rows], labels[rows], k)

    return Detector(fit_feature_detector(name, features, labels, k), refit)


def fit_feature_detector(name: str, features: Floats, labels: NDArray[np.int64], k: int) -> DetectorScore:
    """The score of :func:`feature_detector`."""
    fitted = fit_class_gaussians(features, labels) if name == MAHALANOBIS else fit_nearest_neighbours(features, k)
    return lambda outputs: fitted.score(outputs.require_features())


@final
@dataclass(frozen=True)
class ClassGaussians:
    """A Gaussian for each class, with a shared covariance.

    Args:
        means: Class means, whitened, ``(C, D)``.
        cholesky: Lower Cholesky factor of the covariance, ``(D, D)``.
    """

    means: Floats
    cholesky: Floats

    def score(self, features: Floats) -> Floats:
        """Negative squared Mahalanobis distance of features ``(n, D)`` to the nearest class mean, ``(n,)`` at most 0 (Lee et al. 2018, equation 2)."""
        whitened = _whiten(features.astype(np.float64), self.cholesky)
        distances = [cdist(whitened[i : i + ROWS], self.means, "sqeuclidean").min(axis=1) for i in range(0, len(whitened), ROWS)]
        return -np.concatenate(distances)


def fit_class_gaussians(features: Floats, labels: NDArray[np.int64]) -> ClassGaussians:
    """Class means and the within-class covariance with Ledoit–Wolf shrinkage (Ledoit & Wolf 2004), so that few images suffice.

    Only the penultimate features; neither the inner layers nor the input perturbation of Lee et al. 2018.

    Args:
        features: Of training images, ``(n, D)``.
        labels: Their classes, ``(n,)``.

    Raises:
        Unsupported: The features do not vary within classes.
    """
    from sklearn.covariance import ledoit_wolf

    features = features.astype(np.float64)
    _, class_index = np.unique(labels, return_inverse=True)
    sums = np.zeros((int(class_index.max()) + 1, features.shape[1]))
    np.add.at(sums, class_index, features)
    means = sums / np.bincount(class_index)[:, None]
    within = features - means[class_index]
    if not np.ptp(within):
        raise Unsupported("flat-features", "the features of training images do not vary within their classes", "use more training images")
    covariance, _ = ledoit_wolf(within, assume_centered=True)
    cholesky: Floats = np.linalg.cholesky(covariance)
    return ClassGaussians(_whiten(means, cholesky), cholesky)


def _whiten(rows: Floats, cholesky: Floats) -> Floats:
    whitened: Floats = solve_triangular(cholesky, rows.T, lower=True).T
    return whitened


@final
@dataclass(frozen=True)
class NearestNeighbours:
    """Distance to the ``k``-th nearest training image on the unit sphere of features.

    Args:
        directions: L2-normalised features of training images, ``(n, D)``.
        k: Which nearest neighbour's distance is used, from 1 to ``n``.
    """

    directions: Floats
    k: int

    def score(self, features: Floats) -> Floats:
        """Negative distance of normalised features ``(m, D)`` to their ``k``-th nearest training image, ``(m,)`` in [−2, 0] (Sun et al. 2022)."""
        directions, rows = _normalise(features), max(1, MAX_DISTANCES // len(self.directions))
        cosines = [self._kth_cosine(directions[i : i + rows]) for i in range(0, len(directions), rows)]
        distances: Floats = np.sqrt(np.maximum(0.0, 2 - 2 * np.concatenate(cosines)))
        return -distances

    def _kth_cosine(self, directions: Floats) -> Floats:
        place = len(self.directions) - self.k
        cosine: Floats = np.partition(directions @ self.directions.T, place, axis=1)[:, place]
        return cosine


def fit_nearest_neighbours(features: Floats, k: int) -> NearestNeighbours:
    """Keep the normalised training features; with fewer than ``k`` training images the farthest is used.

    Args:
        features: Of training images, ``(n, D)``.
        k: Which nearest neighbour's distance is used. Sun et al. 2022 take about one in a thousand training images.
    """
    return NearestNeighbours(_normalise(features), min(k, len(features)))


def _normalise(features: Floats) -> Floats:
    double = features.astype(np.float64)
    directions: Floats = double / np.maximum(np.linalg.norm(double, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return directions
