"""Gradient × input, Integrated Gradients and occlusion, where their values are known."""

import pytest
import torch
from torch import Tensor, nn
from toy_models import GRID, SIZE, asked, linear_model, model_of, noise, vit

from efficient360.methods.attribution.completeness import complete, logit_difference
from efficient360.methods.attribution.gradient_input import GradientInput
from efficient360.methods.attribution.grid import grid_of
from efficient360.methods.attribution.integrated_gradients import IntegratedGradients
from efficient360.methods.attribution.occlusion import Occlusion


@pytest.mark.parametrize("explainer", [GradientInput(), IntegratedGradients(3)], ids=lambda e: e.name)
def test_on_a_linear_model_the_values_are_weight_times_input(explainer: GradientInput | IntegratedGradients) -> None:
    model = linear_model(mean=0.4, std=0.25)
    question = asked(model, noise(6))
    weight = model.network[1].weight[question.classes].view(-1, *SIZE)  # type: ignore[index,union-attr]
    products = weight * (question.images - 0.4) / 0.25
    by_hand = torch.stack([products[:, :, top : top + 2, left : left + 2].sum((1, 2, 3)) for top in (0, 2) for left in (0, 2)], 1)
    assert torch.allclose(explainer.explain(model, GRID, question), by_hand, atol=1e-4)
    assert complete(explainer.explain(model, GRID, question), logit_difference(model, question)).all()


def test_occlusion_of_a_linear_model_is_weight_times_the_distance_from_the_images_mean() -> None:
    model = linear_model(mean=0.4, std=0.25)
    question = asked(model, noise(6))
    weight = model.network[1].weight[question.classes].view(-1, *SIZE)  # type: ignore[index,union-attr]
    products = weight * (question.images - question.images.mean((2, 3), keepdim=True)) / 0.25
    by_hand = torch.stack([products[:, :, top : top + 2, left : left + 2].sum((1, 2, 3)) for top in (0, 2) for left in (0, 2)], 1)
    assert torch.allclose(Occlusion().explain(model, GRID, question), by_hand, atol=1e-4)


def test_occlusion_is_captums() -> None:
    from captum.attr import Occlusion as Captum

    model = vit()
    question, grid = asked(model, noise(5, (3, 16, 16))), grid_of(model)
    blank = question.images.mean((2, 3), keepdim=True).expand_as(question.images)
    theirs = Captum(model.module).attribute(question.images, (3, 4, 4), (3, 4, 4), blank, question.classes)
    # captum gives every pixel of a window the window's value
    assert torch.allclose(Occlusion().explain(model, grid, question), theirs[:, 0, ::4, ::4].flatten(1), atol=1e-4)


def test_integrated_gradients_sum_to_the_difference_of_logits() -> None:
    model = vit()
    question = asked(model, noise(8, (3, 16, 16)))
    values, wanted = IntegratedGradients(200, 0).explain(model, grid_of(model), question), logit_difference(model, question)
    assert torch.allclose(values.sum(1), wanted, rtol=0.01, atol=0.01)
    assert complete(values, wanted).all()
    assert not complete(values + 0.1 * wanted[:, None] / values.shape[1], wanted).any()


class EighthPower(nn.Module):
    """The gradient along a straight line is a polynomial of degree 7: four Gauss-Legendre steps integrate it exactly, fewer do not."""

    def __init__(self, linear: float = 0.0) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, images: Tensor) -> Tensor:
        brightness = images.flatten(1).mean(1)
        total = brightness**8 + self.linear * brightness
        return torch.stack([total, torch.zeros_like(total)], 1)


@pytest.mark.parametrize(("steps", "doublings", "whole"), [(1, 0, False), (2, 0, False), (1, 1, False), (1, 2, True), (4, 0, True)])
def test_steps_are_doubled_until_the_sum_is_right(steps: int, doublings: int, whole: bool) -> None:
    model = model_of(EighthPower(), 2)
    question = asked(model, torch.full((3, *SIZE), 1.0))
    values, wanted = IntegratedGradients(steps, doublings).explain(model, GRID, question), logit_difference(model, question)
    assert torch.allclose(wanted, torch.ones(3))
    assert complete(values, wanted).tolist() == [whole] * 3
    if whole:
        assert torch.allclose(values, torch.full((3, 4), 0.25), atol=1e-5)


def test_an_image_that_is_complete_is_left_alone_when_another_needs_more_steps() -> None:
    model = model_of(EighthPower(1.0), 2)
    dim, bright = torch.full((1, *SIZE), 0.4), torch.ones((1, *SIZE))
    alone, better = (IntegratedGradients(steps, 2).explain(model, GRID, asked(model, dim)) for steps in (1, 4))
    assert not torch.equal(alone, better)
    assert torch.equal(IntegratedGradients(1, 2).explain(model, GRID, asked(model, torch.cat([dim, bright])))[:1], alone)


def test_every_pass_has_the_same_shape_and_nothing_stays_behind() -> None:
    seen = set()
    model = linear_model()
    model.module.register_forward_pre_hook(lambda _module, given: seen.add(tuple(given[0].shape)))
    question = asked(model, noise(6))
    before = question.images.clone()
    for explainer in (GradientInput(), IntegratedGradients(5), Occlusion()):
        explainer.explain(model, GRID, question)
    assert seen == {(6, *SIZE)}
    assert torch.equal(question.images, before)
    assert not question.images.requires_grad
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.module.parameters())
