"""Distance to the nearest class, in the metric that the classes' common spread gives."""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.spatial.distance import cdist

from efficient360.core.arrays import Floats
from efficient360.errors import Unsupported

ROWS = 4096
"""Images whose distances are held at a time."""


@final
@dataclass(frozen=True)
class Gaussians:
    """A Gaussian for each class, all of one covariance.

    Args:
        means: Class means, whitened, ``(C, D)``.
        root: Lower Cholesky factor of the covariance, ``(D, D)``.
    """

    means: Floats
    root: Floats

    def score(self, features: Floats) -> Floats:
        """Negative squared Mahalanobis distance of features ``(n, D)`` to the nearest class mean, ``(n,)`` at most 0 (Lee et al. 2018, equation 2)."""
        white = _whitened(features.astype(np.float64), self.root)
        parts = [cdist(white[i : i + ROWS], self.means, "sqeuclidean").min(axis=1) for i in range(0, len(white), ROWS)]
        return -np.concatenate(parts)


def fit_gaussians(features: Floats, labels: NDArray[np.int64]) -> Gaussians:
    """The class means and the covariance within classes, shrunk towards a sphere (Ledoit & Wolf 2004), so that few images suffice.

    Only the last features, neither inner layers nor the perturbed input of Lee et al. 2018.

    Args:
        features: Of training images, ``(n, D)``.
        labels: Their classes, ``(n,)``.

    Raises:
        Unsupported: Within classes the features do not vary.
    """
    from sklearn.covariance import ledoit_wolf

    features = features.astype(np.float64)
    _, place = np.unique(labels, return_inverse=True)
    sums = np.zeros((int(place.max()) + 1, features.shape[1]))
    np.add.at(sums, place, features)
    means = sums / np.bincount(place)[:, None]
    within = features - means[place]
    if not np.ptp(within):
        raise Unsupported("flat-features", "the features of training images do not vary within their classes", "give more training images")
    covariance, _ = ledoit_wolf(within, assume_centered=True)
    root: Floats = np.linalg.cholesky(covariance)
    return Gaussians(_whitened(means, root), root)


def _whitened(rows: Floats, root: Floats) -> Floats:
    found: Floats = solve_triangular(root, rows.T, lower=True).T
    return found
