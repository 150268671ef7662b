"""Gradient × input, Integrated Gradients and occlusion, where their values are known."""

import pytest
import torch
from torch import Tensor, nn
from toy_models import GRID, SIZE, batch_of, linear_model, model_of, noise, vit

from efficient360.methods.attribution.gradients import GradientXInput, IntegratedGradients, is_complete, logit_difference
from efficient360.methods.attribution.grid import grid_of
from efficient360.methods.attribution.method import target_logits
from efficient360.methods.attribution.occlusion import Occlusion


@pytest.mark.parametrize("method", [GradientXInput(), IntegratedGradients(3)], ids=lambda m: m.name)
def test_on_a_linear_model_the_values_are_weight_times_input(method: GradientXInput | IntegratedGradients) -> None:
    model = linear_model(mean=0.4, std=0.25)
    batch = batch_of(model, noise(6))
    weight = model.network[1].weight[batch.targets].view(-1, *SIZE)
    products = weight * (batch.images - 0.4) / 0.25
    by_hand = torch.stack([products[:, :, top : top + 2, left : left + 2].sum((1, 2, 3)) for top in (0, 2) for left in (0, 2)], 1)
    assert torch.allclose(method.attribute(model, GRID, batch), by_hand, atol=1e-4)
    assert is_complete(method.attribute(model, GRID, batch), logit_difference(model, batch)).all()


def test_occlusion_of_a_linear_model_is_weight_times_the_distance_from_the_images_mean() -> None:
    model = linear_model(mean=0.4, std=0.25)
    batch = batch_of(model, noise(6))
    weight = model.network[1].weight[batch.targets].view(-1, *SIZE)
    products = weight * (batch.images - batch.images.mean((2, 3), keepdim=True)) / 0.25
    by_hand = torch.stack([products[:, :, top : top + 2, left : left + 2].sum((1, 2, 3)) for top in (0, 2) for left in (0, 2)], 1)
    assert torch.allclose(Occlusion().attribute(model, GRID, batch), by_hand, atol=1e-4)


def test_occlusion_is_the_drop_of_the_logit_and_captums_with_a_sliding_window() -> None:
    from captum.attr import Occlusion as CaptumOcclusion

    model = vit()
    batch, grid = batch_of(model, noise(5, (3, 16, 16))), grid_of(model)
    baseline = batch.images.mean((2, 3), keepdim=True).expand_as(batch.images)
    attributions, original = Occlusion().attribute(model, grid, batch), target_logits(model, batch)
    for cell in range(16):
        occluded, (row, column) = batch.images.clone(), divmod(cell, 4)
        area = (..., slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4))
        occluded[area] = baseline[area]
        assert torch.equal(attributions[:, cell], original - target_logits(model, batch.with_images(occluded)))
    theirs = CaptumOcclusion(model.module).attribute(batch.images, (3, 4, 4), (3, 4, 4), baseline, batch.targets)
    # captum gives every pixel of a window the window's value
    assert torch.allclose(attributions, theirs[:, 0, ::4, ::4].flatten(1), atol=1e-4)


def test_gradient_x_input_of_a_vit_is_autograds_and_captums_on_normalised_inputs() -> None:
    from captum.attr import InputXGradient

    model = vit()
    batch, grid = batch_of(model, noise(5, (3, 16, 16))), grid_of(model)
    attributions = GradientXInput().attribute(model, grid, batch)
    images = batch.images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(images).gather(1, batch.targets[:, None]).sum(), images)
    assert torch.equal(attributions, grid.sum_per_cell((gradient * (batch.images - 0.5)).sum(1)))
    theirs = InputXGradient(model.network).attribute(model.module.normalise(batch.images).requires_grad_(), target=batch.targets)
    assert torch.allclose(attributions, grid.sum_per_cell(theirs.detach().sum(1)), atol=1e-4)


def test_integrated_gradients_sum_to_the_difference_of_logits() -> None:
    model = vit()
    batch = batch_of(model, noise(8, (3, 16, 16)))
    values, difference = IntegratedGradients(200, 0).attribute(model, grid_of(model), batch), logit_difference(model, batch)
    assert torch.allclose(values.sum(1), difference, rtol=0.01, atol=0.01)
    assert is_complete(values, difference).all()
    assert not is_complete(values + 0.1 * difference[:, None] / values.shape[1], difference).any()


class EighthPower(nn.Module):
    """The gradient along a straight line is a polynomial of degree 7: four Gauss-Legendre steps integrate it exactly, fewer do not."""

    def __init__(self, linear: float = 0.0) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, images: Tensor) -> Tensor:
        brightness = images.flatten(1).mean(1)
        total = brightness**8 + self.linear * brightness
        return torch.stack([total, torch.zeros_like(total)], 1)


@pytest.mark.parametrize(("steps", "doublings", "converged"), [(1, 0, False), (2, 0, False), (1, 1, False), (1, 2, True), (4, 0, True)])
def test_steps_are_doubled_until_the_attributions_are_complete(steps: int, doublings: int, converged: bool) -> None:
    model = model_of(EighthPower(), 2)
    batch = batch_of(model, torch.full((3, *SIZE), 1.0))
    values, difference = IntegratedGradients(steps, doublings).attribute(model, GRID, batch), logit_difference(model, batch)
    assert torch.allclose(difference, torch.ones(3))
    assert is_complete(values, difference).tolist() == [converged] * 3
    if converged:
        assert torch.allclose(values, torch.full((3, 4), 0.25), atol=1e-5)


def test_complete_attributions_stay_when_another_image_needs_more_steps() -> None:
    model = model_of(EighthPower(1.0), 2)
    dim, bright = torch.full((1, *SIZE), 0.4), torch.ones((1, *SIZE))
    alone, converged = (IntegratedGradients(steps, 2).attribute(model, GRID, batch_of(model, dim)) for steps in (1, 4))
    assert not torch.equal(alone, converged)
    assert torch.equal(IntegratedGradients(1, 2).attribute(model, GRID, batch_of(model, torch.cat([dim, bright])))[:1], alone)


def test_every_pass_has_the_same_shape_and_no_side_effects_remain() -> None:
    shapes = set()
    model = linear_model()
    model.module.register_forward_pre_hook(lambda _module, inputs: shapes.add(tuple(inputs[0].shape)))
    batch = batch_of(model, noise(6))
    before = batch.images.clone()
    for method in (GradientXInput(), IntegratedGradients(5), Occlusion()):
        method.attribute(model, GRID, batch)
    assert shapes == {(6, *SIZE)}
    assert torch.equal(batch.images, before)
    assert not batch.images.requires_grad
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.module.parameters())
