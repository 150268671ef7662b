"""The Laplace approximation of a small logistic regression against its exact Hessian by torch.func, and the Kronecker product where it is exact."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.laplace import (
    Curvature,
    append_bias_column,
    fit_last_layer_laplace,
    ggn_curvature,
    optimal_prior_precision,
    sample_weights,
)
from efficient360.methods.uncertainty.model_outputs import ModelOutputs
from efficient360.methods.uncertainty.predictive_distribution import average_members

RNG = np.random.default_rng(0)
N, D, K = 60, 3, 4
FEATURES = np.concatenate([RNG.normal(0, 1, (N, D - 1)), np.ones((N, 1))], axis=1)
WEIGHTS = RNG.normal(0, 1, (K, D))
LABELS = RNG.integers(0, K, N)


def probabilities(weights: np.ndarray = WEIGHTS) -> np.ndarray:
    return torch.from_numpy(FEATURES @ weights.T).softmax(1).numpy()


def exact_hessian() -> np.ndarray:
    features, labels = torch.from_numpy(FEATURES), torch.from_numpy(LABELS)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(features @ flat.reshape(K, D).T, labels, reduction="sum")

    return torch.func.hessian(loss)(torch.from_numpy(WEIGHTS.ravel())).numpy()


def matrix_of(curvature: Curvature, f: Callable[[np.ndarray], np.ndarray] = lambda values: values) -> np.ndarray:
    """The matrix with the eigenvalues ``f(λ)``."""
    k, d = curvature.eigenvalues.shape
    vectors = np.stack([curvature.to_weights(one.reshape(k, d)).ravel() for one in np.eye(k * d)], axis=1)
    return vectors @ np.diag(f(curvature.eigenvalues).ravel()) @ vectors.T


def test_the_whole_matrix_is_the_hessian() -> None:
    np.testing.assert_allclose(matrix_of(ggn_curvature(FEATURES, probabilities(), 1.0)), exact_hessian(), atol=1e-9)
    np.testing.assert_allclose(matrix_of(ggn_curvature(FEATURES, probabilities(), 2.5)), 2.5 * exact_hessian(), atol=1e-9)


def test_the_kronecker_product_is_exact_where_all_images_are_answered_alike() -> None:
    alike = np.tile(probabilities()[:1], (N, 1))
    kronecker = ggn_curvature(FEATURES, alike, 1.5, full_up_to=0)
    assert kronecker.structure == "kronecker"
    np.testing.assert_allclose(matrix_of(kronecker), matrix_of(ggn_curvature(FEATURES, alike, 1.5)), atol=1e-9)


def test_the_prior_maximises_the_marginal_likelihood() -> None:
    curvature, hessian = ggn_curvature(FEATURES, probabilities(), 1.0), exact_hessian()

    def evidence(delta: float) -> float:
        _, logdet = np.linalg.slogdet(hessian + delta * np.eye(K * D))
        return 0.5 * (K * D * np.log(delta) - logdet - delta * np.square(WEIGHTS).sum())

    best = optimal_prior_precision(WEIGHTS, curvature)
    grid = np.geomspace(1e-3, 1e3, 400)
    assert best == pytest.approx(grid[np.argmax([evidence(delta) for delta in grid])], rel=0.02)
    assert evidence(best) >= max(evidence(delta) for delta in grid) - 1e-9


def test_drawn_weights_have_the_posterior_as_their_covariance() -> None:
    curvature = ggn_curvature(FEATURES, probabilities(), 1.0)
    drawn = np.stack([weights.ravel() for weights in sample_weights(WEIGHTS, curvature, 0.7, 6000, seed=1)])
    expected = np.linalg.inv(exact_hessian() + 0.7 * np.eye(K * D))
    np.testing.assert_allclose(drawn.mean(0), WEIGHTS.ravel(), atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.1 * expected.diagonal().max())


def test_a_draw_depends_on_the_seed_and_its_number_alone() -> None:
    curvature = ggn_curvature(FEATURES, probabilities(), 1.0)
    few, many = list(sample_weights(WEIGHTS, curvature, 1.0, 2, 5)), list(sample_weights(WEIGHTS, curvature, 1.0, 4, 5))
    np.testing.assert_array_equal(few[1], many[1])


def linear(bias: bool = True) -> nn.Linear:
    layer = nn.Linear(D - 1, K, bias=bias)
    layer.weight.data = torch.from_numpy(WEIGHTS[:, :-1]).float()
    if bias:
        layer.bias.data = torch.from_numpy(WEIGHTS[:, -1]).float()
    return layer


def test_a_fitted_layer_answers_less_surely_far_from_its_training_images() -> None:
    with torch.random.fork_rng():
        layer = linear()
    outputs = ModelOutputs((FEATURES @ WEIGHTS.T).astype(np.float32), FEATURES[:, :-1].astype(np.float32))
    fitted = fit_last_layer_laplace(layer, outputs, 1.0)
    assert fitted.precision == pytest.approx(optimal_prior_precision(WEIGHTS, ggn_curvature(FEATURES, probabilities(), 1.0)), rel=1e-4)
    directions = RNG.normal(0, 1, (20, D - 1))
    near, far = (average_members(fitted.sample_logits(scale * directions, 200, 0, lambda: None)) for scale in (1, 30))
    assert far.mutual_information.mean() > 3 * near.mutual_information.mean()


def test_a_layer_that_does_not_make_the_logits_is_refused() -> None:
    with torch.random.fork_rng():
        layer = linear(bias=False)
    with pytest.raises(Unsupported, match="does not map the model's features") as refused:
        fit_last_layer_laplace(layer, ModelOutputs((FEATURES @ WEIGHTS.T).astype(np.float32), FEATURES[:, :-1].astype(np.float32)), 1.0)
    assert refused.value.code == "classifier-mismatch"


def test_certainty_has_no_curvature() -> None:
    with pytest.raises(Unsupported, match="no curvature") as refused:
        optimal_prior_precision(WEIGHTS, ggn_curvature(FEATURES, np.eye(K)[LABELS], 1.0))
    assert refused.value.code == "flat-loss"


def test_features_are_widened_by_a_bias() -> None:
    np.testing.assert_array_equal(append_bias_column(np.array([[2.0]]), 2), [[2.0, 1.0]])
    np.testing.assert_array_equal(append_bias_column(np.array([[2.0]]), 1), [[2.0]])
