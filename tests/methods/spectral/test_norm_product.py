import math

import numpy as np
import pytest
import torch
from torch import nn

from efficient360.conformance import subject
from efficient360.methods.spectral.inventory import inventory
from efficient360.methods.spectral.layers import Layer, layers_of
from efficient360.methods.spectral.margin_complexity import log10_complexity, log10_normalised, margins
from efficient360.methods.spectral.norm_product import NormProduct, norm_product

DEVIATION = torch.full((1, 3, 1, 1), 0.5)


def measured(network: nn.Module, image: torch.Tensor) -> tuple[NormProduct, list[Layer]]:
    layers = list(layers_of(inventory(network, image), 128, 0, lambda done, total: None))
    return norm_product(network, layers, DEVIATION), layers


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
    assert product.log10 == pytest.approx(math.log10(2 * 4 * 2))  # 1 / deviation, and both norms
    # rows of length 3 + 4 over norm 4, and 1 + 2 + 0 over norm 2
    expected = math.log10(16) + 1.5 * math.log10((7 / 4) ** (2 / 3) + (3 / 2) ** (2 / 3))
    assert log10_complexity(product.log10, layers) == pytest.approx(expected)


def test_a_bound_holds_where_it_is_one() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.Flatten(), nn.Linear(4 * 36, 5)).eval()
    network[1].running_var.fill_(0.25)
    product, _ = measured(network, torch.rand(1, 3, 6, 6))
    assert product.is_bound
    jacobian = torch.autograd.functional.jacobian(lambda x: network(x / DEVIATION), torch.rand(1, 3, 6, 6)).flatten(1).view(5, -1)
    assert float(torch.linalg.matrix_norm(jacobian, 2)) <= 10**product.log10
    halved = 10 ** measured(network[:1], torch.rand(1, 3, 6, 6))[0].log10
    scaled = 10 ** measured(network[:2], torch.rand(1, 3, 6, 6))[0].log10
    assert scaled / halved == pytest.approx(1 / math.sqrt(0.25 + 1e-5))


def test_a_transformer_has_no_bound() -> None:
    product, _ = measured(subject().model.network, torch.rand(1, 3, 32, 32))
    assert not product.is_bound
    assert {"LayerNorm", "Attention", "Block"} <= {name for name, _ in product.left_out}
    assert product.zero == ""


def test_a_zero_layer_is_named() -> None:
    network = chain([[1.0, 0, 0]], [[0.0]])
    assert measured(network, torch.ones(1, 3, 1, 1))[0].zero == "3"


def test_margins_by_hand() -> None:
    logits = np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.5], [1.0, 2.0, 0.0]])
    np.testing.assert_allclose(margins(logits, np.array([0, 1, 0])), [1, 0.5, -1])


def test_a_margin_is_normalised_by_complexity_and_data() -> None:
    # 0.5 / (100 · ‖X‖ / n) with n = 4 examples of length 3 each: ‖X‖ = 6
    assert log10_normalised(0.5, 2.0, 3.0, 4) == pytest.approx(math.log10(0.5 / (100 * 6 / 4)))
