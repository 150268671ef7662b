"""Norm products, margins and Jacobian norms by hand, of chains and of a transformer."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from efficient360.conformance import subject
from efficient360.methods.spectral.layer_spectra import LayerSpectrum, layer_spectra
from efficient360.methods.spectral.linear_operators import find_operators
from efficient360.methods.spectral.lipschitz import (
    NormProduct,
    classification_margins,
    jacobian_norms,
    log10_normalised_margin,
    log10_spectral_complexity,
    norm_product,
)
from efficient360.models.model import PixelsToLogits, TorchModel
from efficient360.models.view.protocol import ViTView

STD = torch.full((1, 3, 1, 1), 0.5)


def measured(network: nn.Module, image: torch.Tensor) -> tuple[NormProduct, list[LayerSpectrum]]:
    layers = list(layer_spectra(find_operators(network, image, ViTView()), 128, 0, lambda done, total: None))
    return norm_product(network, layers, STD), layers


def chain(*weights: list[list[float]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for weight in weights:
        linear = nn.Linear(len(weight[0]), len(weight))
        linear.weight = nn.Parameter(torch.tensor(weight))
        layers += [linear, nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *layers[:-1]).eval()


def test_two_layers_by_hand() -> None:
    product, layers = measured(chain([[3.0, 0, 0], [0, 4.0, 0]], [[1.0, 0], [0, 2.0], [0, 0]]), torch.ones(1, 3, 1, 1))
    assert product.is_bound
    assert product.log10 == pytest.approx(math.log10(2 * 4 * 2))  # 1 / std, and both norms
    # rows of length 3 + 4 over norm 4, and 1 + 2 + 0 over norm 2
    expected = math.log10(16) + 1.5 * math.log10((7 / 4) ** (2 / 3) + (3 / 2) ** (2 / 3))
    assert log10_spectral_complexity(product.log10, layers) == pytest.approx(expected)


def test_a_bound_holds_where_it_is_one() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    network[1].running_var.fill_(0.25)
    product, _ = measured(network, torch.rand(1, 3, 6, 6))
    assert product.is_bound
    jacobian = torch.autograd.functional.jacobian(lambda x: network(x / STD), torch.rand(1, 3, 6, 6)).flatten(1).view(5, -1)
    assert float(torch.linalg.matrix_norm(jacobian, 2)) <= 10**product.log10
    halved = 10 ** measured(network[:1], torch.rand(1, 3, 6, 6))[0].log10
    scaled = 10 ** measured(network[:2], torch.rand(1, 3, 6, 6))[0].log10
    assert scaled / halved == pytest.approx(1 / math.sqrt(0.25 + 1e-5))


def test_a_transformer_has_no_bound() -> None:
    product, _ = measured(subject().model.network, torch.rand(1, 3, 32, 32))
    assert not product.is_bound
    assert {"LayerNorm", "Attention", "Block"} <= {name for name, _ in product.unbounded}
    assert product.zero_layer == ""


def test_a_zero_layer_is_named() -> None:
    network = chain([[1.0, 0, 0]], [[0.0]])
    assert measured(network, torch.ones(1, 3, 1, 1))[0].zero_layer == "3"


def test_margins_by_hand() -> None:
    logits = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.5], [1.0, 2.0, 0.0]])
    np.testing.assert_allclose(classification_margins(logits, np.array([0, 1, 0])), [1, 0.5, -1])


def test_a_margin_is_normalised_by_complexity_and_data() -> None:
    # 0.5 / (100 · ‖X‖ / n) with n = 4 examples of norm 3 each: ‖X‖ = 6
    assert log10_normalised_margin(0.5, 2.0, 3.0, 4) == pytest.approx(math.log10(0.5 / (100 * 6 / 4)))


def starts(images: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.randn(len(images), classes, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def linear(classes: int) -> tuple[TorchModel, float]:
    torch.manual_seed(0)
    layer = nn.Linear(12, classes)
    network = nn.Sequential(nn.Flatten(), layer)
    module = PixelsToLogits(network, [0.5] * 3, [0.25] * 3, None).eval().requires_grad_(False)
    return TorchModel(module, (3, 2, 2), classes), float(torch.linalg.matrix_norm(layer.weight.double(), 2)) / 0.25


@pytest.mark.parametrize("steps", [12, 30], ids=["lanczos", "exact"])
def test_a_linear_models_constant_is_its_norm(steps: int) -> None:
    model, expected = linear(20)
    images = torch.rand(3, 3, 2, 2)
    norms = jacobian_norms(model, images, starts(images, 20), steps)
    assert norms.tolist() == pytest.approx([expected] * 3, rel=1e-4)


@pytest.mark.parametrize("steps", [6, 7], ids=["lanczos", "exact"])
def test_a_transformers_constant_is_that_of_autograds_jacobian(steps: int) -> None:
    model = subject().model
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    dense = [torch.autograd.functional.jacobian(model, image[None]).view(7, -1) for image in images]
    expected = [float(torch.linalg.matrix_norm(jacobian.double(), 2)) for jacobian in dense]
    noise = starts(images, 7)
    norms = jacobian_norms(model, images, noise, steps)
    assert norms.tolist() == pytest.approx(expected, rel=1e-3)
    alone = torch.cat([jacobian_norms(model, images[i : i + 1], noise[i : i + 1], steps) for i in range(2)])
    torch.testing.assert_close(norms, alone, rtol=1e-5, atol=0)


def test_an_exhausted_krylov_space_stops_the_iteration() -> None:
    model, _ = linear(20)
    with torch.no_grad():
        model.network[1].weight[1:] = 0
    images = torch.rand(2, 3, 2, 2)
    norms = jacobian_norms(model, images, starts(images, 20), 10)
    assert norms.tolist() == pytest.approx([float(model.network[1].weight[0].norm()) / 0.25] * 2, rel=1e-5)


def test_an_operator_without_a_derivative_raises() -> None:
    class Blind(torch.autograd.Function):
        @staticmethod
        def forward(ctx, images):
            return images.flatten(1)

        @staticmethod
        def backward(ctx, *gradients):
            raise NotImplementedError("no derivative")

    class Network(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return Blind.apply(images)

    model = TorchModel(PixelsToLogits(Network(), [0.5] * 3, [0.5] * 3, None).eval(), (3, 2, 2), 12)
    with pytest.raises(NotImplementedError, match="no derivative"):
        jacobian_norms(model, torch.rand(1, 3, 2, 2), torch.ones(1, 12), 12)
