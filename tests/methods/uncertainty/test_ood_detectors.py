"""Detectors against scikit-learn, torch and Gaussians whose distances are known."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.model_outputs import ModelOutputs
from efficient360.methods.uncertainty.ood_detectors import KNN, MAHALANOBIS, energy, feature_detector, fit_class_gaussians, fit_feature_detector, max_logit, msp

RNG = np.random.default_rng(0)


def test_scores_of_logits() -> None:
    logits = RNG.normal(0, 5, (40, 7)).astype(np.float32)
    outputs = ModelOutputs(logits, None)
    wide = torch.from_numpy(logits).double()
    np.testing.assert_allclose(np.exp(msp(outputs)), wide.softmax(1).amax(1).numpy())
    np.testing.assert_allclose(energy(outputs), torch.logsumexp(wide, 1).numpy())
    np.testing.assert_array_equal(max_logit(outputs), logits.max(1))


def test_the_largest_probability_still_ranks_where_rounding_would_call_it_certain() -> None:
    scores = msp(ModelOutputs(np.array([[60.0, 0.0], [50.0, 0.0], [20.0, 0.0]]), None))
    assert scores[0] >= scores[1] > scores[2]


def test_mahalanobis_of_gaussians_with_known_covariance() -> None:
    spread = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, 0.0], [0.0, 0.0, 0.1]])
    means = np.array([[0.0, 0.0, 0.0], [5.0, -5.0, 1.0], [0.0, 9.0, 9.0]])
    labels = np.repeat([0, 4, 7], 20_000)  # classes without an image are none
    features = np.repeat(means, 20_000, axis=0) + RNG.multivariate_normal(np.zeros(3), spread, 60_000)
    asked = RNG.normal(0, 5, (50, 3))
    offsets = asked[:, None] - means
    nearest = np.einsum("ncd,de,nce->nc", offsets, np.linalg.inv(spread), offsets).min(axis=1)
    np.testing.assert_allclose(fit_class_gaussians(features, labels).score(asked), -nearest, rtol=0.05, atol=0.3)


def test_mahalanobis_stands_fewer_images_than_dimensions() -> None:
    features = RNG.normal(0, 1, (12, 40))
    scores = fit_class_gaussians(features, np.arange(12) % 3).score(features)
    assert np.isfinite(scores).all()
    assert (scores <= 0).all()


def test_mahalanobis_refuses_features_that_do_not_vary() -> None:
    with pytest.raises(Unsupported, match="do not vary") as refused:
        fit_class_gaussians(np.ones((6, 4)), np.arange(6) % 2)
    assert refused.value.code == "flat-features"


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_equal_scikit_learn(k: int) -> None:
    training, asked = RNG.normal(0, 1, (300, 8)), RNG.normal(0, 1, (40, 8))
    scale = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)  # noqa: E731
    distances, _ = NearestNeighbors(n_neighbors=k).fit(scale(training)).kneighbors(scale(asked))
    score = fit_feature_detector(KNN, training, np.zeros(300, dtype=np.int64), k)
    np.testing.assert_allclose(score(ModelOutputs(np.zeros((40, 2)), asked)), -distances[:, -1], atol=1e-7)


def test_fewer_training_images_than_neighbours() -> None:
    score = fit_feature_detector(KNN, np.eye(3), np.zeros(3, dtype=np.int64), 10)
    assert score(ModelOutputs(np.zeros((1, 2)), np.array([[1.0, 0, 0]])))[0] == pytest.approx(-np.sqrt(2))  # the farthest of the three


def test_both_on_features_find_what_lies_elsewhere() -> None:
    training, labels = RNG.normal(0, 1, (200, 6)) + 4, np.arange(200) % 2
    near, far = ModelOutputs(np.zeros((50, 2)), RNG.normal(0, 1, (50, 6)) + 4), ModelOutputs(np.zeros((50, 2)), RNG.normal(0, 1, (50, 6)) - 4)
    for name in (MAHALANOBIS, KNN):
        score = fit_feature_detector(name, training, labels, 3)
        assert score(near).min() > score(far).max()


@pytest.mark.parametrize("name", [MAHALANOBIS, KNN])
def test_a_refit_is_the_same_detector_on_training_images_drawn_anew(name: str) -> None:
    training, labels = RNG.normal(0, 1, (60, 4)), np.arange(60) % 2
    asked = ModelOutputs(np.zeros((9, 2)), RNG.normal(0, 1, (9, 4)))
    detector = feature_detector(name, training, labels, 3)
    np.testing.assert_array_equal(detector.score(asked), fit_feature_detector(name, training, labels, 3)(asked))
    assert detector.refit is not None
    rows = np.random.default_rng(5).integers(0, 60, 60)
    np.testing.assert_array_equal(detector.refit(np.random.default_rng(5))(asked), fit_feature_detector(name, training[rows], labels[rows], 3)(asked))
