import pytest
import torch
from torch import nn

from efficient360.conformance import subject
from efficient360.methods.spectral.local_lipschitz import jacobian_norms
from efficient360.models.model import PixelsToLogits, TorchModel


def starts(images: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.randn(len(images), classes, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def linear(classes: int) -> tuple[TorchModel, float]:
    torch.manual_seed(0)
    layer = nn.Linear(12, classes)
    network = nn.Sequential(nn.Flatten(), layer)
    module = PixelsToLogits(network, [0.5] * 3, [0.25] * 3, None).eval().requires_grad_(False)
    return TorchModel(module, (3, 2, 2), classes), float(torch.linalg.matrix_norm(layer.weight.double(), 2)) / 0.25


@pytest.mark.parametrize("steps", [12, 30], ids=["iterated", "whole"])
def test_a_linear_models_constant_is_its_norm(steps: int) -> None:
    model, expected = linear(20)
    images = torch.rand(3, 3, 2, 2)
    found = jacobian_norms(model, images, starts(images, 20), steps)
    assert found.tolist() == pytest.approx([expected] * 3, rel=1e-4)


@pytest.mark.parametrize("steps", [6, 7], ids=["iterated", "whole"])
def test_a_transformers_constant_is_that_of_autograds_jacobian(steps: int) -> None:
    model = subject().model
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    dense = [torch.autograd.functional.jacobian(model, image[None]).view(7, -1) for image in images]
    expected = [float(torch.linalg.matrix_norm(one.double(), 2)) for one in dense]
    noise = starts(images, 7)
    found = jacobian_norms(model, images, noise, steps)
    assert found.tolist() == pytest.approx(expected, rel=1e-3)
    alone = torch.cat([jacobian_norms(model, images[i : i + 1], noise[i : i + 1], steps) for i in range(2)])
    torch.testing.assert_close(found, alone, rtol=1e-5, atol=0)


def test_a_space_that_is_used_up_stops_the_iteration() -> None:
    model, _ = linear(20)
    with torch.no_grad():
        model.network[1].weight[1:] = 0
    images = torch.rand(2, 3, 2, 2)
    found = jacobian_norms(model, images, starts(images, 20), 10)
    assert found.tolist() == pytest.approx([float(model.network[1].weight[0].norm()) / 0.25] * 2, rel=1e-5)


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
    with pytest.raises(RuntimeError, match="no derivative"):
        jacobian_norms(model, torch.rand(1, 3, 2, 2), torch.ones(1, 12), 12)
