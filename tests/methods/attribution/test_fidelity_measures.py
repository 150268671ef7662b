"""Infidelity and max-sensitivity against captum's with the same draws, sparseness by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from toy_models import GRID, Edges, asked, linear_model, noise, vit

from efficient360.methods.attribution.chance import Chance
from efficient360.methods.attribution.gradient_input import GradientInput
from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.infidelity import covered, infidelity, squares
from efficient360.methods.attribution.occlusion import Occlusion
from efficient360.methods.attribution.sensitivity import max_sensitivity, nearby
from efficient360.methods.attribution.sparseness import gini


@pytest.mark.parametrize("explainer", [GradientInput(), Occlusion(), Chance()], ids=lambda e: e.name)
def test_infidelity_is_captums_over_that_of_zeros(explainer: GradientInput | Occlusion | Chance) -> None:
    from captum.metrics import infidelity as captum
    from captum.metrics import infidelity_perturb_func_decorator

    model = vit()
    question, grid, number = asked(model, noise(5, (3, 16, 16))), grid_of(model), 12
    what = covered(model, grid, question, number)
    values = explainer.explain(model, grid, question)
    drawn = torch.stack([grid.spread(what.cells[:, i].float()) for i in range(number)], 1).flatten(0, 1)  # example by example, as captum repeats them
    blank = question.images.mean((2, 3), keepdim=True).expand_as(question.images)

    @infidelity_perturb_func_decorator(True)
    def cover(images: Tensor, baselines: Tensor) -> Tensor:
        return torch.where(drawn > 0, baselines, images)

    # a cell's value, shared out evenly among its pixels and channels
    pixels = grid.spread(values).expand(-1, 3, -1, -1) / (3 * 16)
    both = [
        captum(model.module, cover, question.images, of, blank, target=question.classes, n_perturb_samples=number, normalize=True)
        for of in (pixels, torch.zeros_like(pixels))
    ]
    assert torch.allclose(infidelity(values, what).float(), both[0] / both[1], atol=1e-3)


def test_a_linear_model_is_foretold_exactly_at_any_scale() -> None:
    model = linear_model()
    question = asked(model, noise(5))
    what = covered(model, GRID, question, 10)
    values = Occlusion().explain(model, GRID, question)
    for scale in (1.0, 0.01, -300.0):
        assert float(infidelity(scale * values, what).max()) < 1e-6
    assert infidelity(torch.zeros_like(values), what).tolist() == [1.0] * 5
    assert float(infidelity(Chance().explain(model, GRID, question), what).mean()) > 0.2


def test_nothing_to_foretell_is_not_foretold() -> None:
    model = linear_model()
    question = asked(model, torch.full((2, 3, 4, 4), 0.5))
    what = covered(model, GRID, question, 4)
    assert infidelity(torch.ones((2, 4)), what).tolist() == [1.0, 1.0]


def test_squares_are_squares_and_each_examples_own() -> None:
    grid = Grid(6, 8, 24, 32)
    question = asked(linear_model(size=(3, 24, 32)), noise(3, (3, 24, 32)))
    drawn = squares(grid, question, 40).view(3, 40, 6, 8)
    for one in drawn.flatten(0, 1):
        rows, columns = one.any(1).nonzero()[:, 0], one.any(0).nonzero()[:, 0]
        assert len(rows) == len(columns)
        assert 1 <= len(rows) <= 3
        assert int(one.sum()) == len(rows) ** 2
        assert int(rows[-1] - rows[0]) == len(rows) - 1
    assert {int(one.sum()) for one in drawn.flatten(0, 1)} == {1, 4, 9}
    alone = type(question)(question.images[2:], question.classes[2:], ("x2",), 0)
    assert torch.equal(squares(grid, alone, 40)[0], drawn[2].flatten(1))


@pytest.mark.parametrize("explainer", [GradientInput(), Edges(), Chance()], ids=lambda e: e.name)
def test_max_sensitivity_is_captums(explainer: GradientInput | Edges | Chance) -> None:
    from captum.metrics import sensitivity_max

    model = vit()
    question, grid, draws = asked(model, noise(4, (3, 16, 16))), grid_of(model), 5
    values = explainer.explain(model, grid, question)
    ours = max_sensitivity(lambda moved: explainer.explain(model, grid, moved), values, question, 0.05, draws)
    moved = torch.stack([nearby(question, 0.05, draw).images for draw in range(draws)], 1).flatten(0, 1)

    def explain(images: tuple[Tensor, ...] | Tensor, target: Tensor) -> tuple[Tensor]:
        pixels = images[0] if isinstance(images, tuple) else images
        ids = tuple(name for name in question.ids for _ in range(len(pixels) // len(question)))
        with torch.enable_grad():
            return (explainer.explain(model, grid, type(question)(pixels, target, ids, 0)),)

    theirs = sensitivity_max(explain, question.images, lambda _images: moved, n_perturb_samples=draws, target=question.classes)
    assert torch.allclose(ours.float(), theirs, atol=1e-4)
    assert (float(ours.max()) == 0) == isinstance(explainer, Chance)


def test_an_image_moves_within_the_radius_and_the_pixel_range_by_its_own_draws() -> None:
    question = asked(linear_model(), noise(3))
    moved = nearby(question, 0.1, 0)
    assert float((moved.images - question.images).abs().max()) <= 0.1 + 1e-6
    assert 0 <= float(moved.images.min()) <= float(moved.images.max()) <= 1
    assert torch.equal(moved.classes, question.classes)
    assert not torch.equal(nearby(question, 0.1, 1).images, moved.images)
    alone = type(question)(question.images[1:2], question.classes[1:2], ("x1",), 0)
    assert torch.equal(nearby(alone, 0.1, 0).images[0], moved.images[1])


def test_an_explanation_of_zeros_is_measured_over_one() -> None:
    question = asked(linear_model(), noise(2))
    found = max_sensitivity(lambda _moved: torch.full((2, 4), 0.5), torch.zeros((2, 4)), question, 0.1, 2)
    assert found.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1, 2, 3, 4], 0.25),
        ([0, 0, 0, 5], 0.75),
        ([0, 0, 0, -5], 0.75),
        ([2, 2, -2, 2], 0.0),
        ([0, 0, 0, 0], 0.0),
    ],
)
def test_the_gini_index_by_hand(row: list[float], expected: float) -> None:
    assert float(gini(torch.tensor([row], dtype=torch.float32))) == pytest.approx(expected)


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=30).filter(lambda row: sum(map(abs, row)) > 1e-3))
def test_the_gini_index_is_half_the_relative_mean_difference(row: list[float]) -> None:
    values = torch.tensor(row, dtype=torch.float64).abs()
    mean_difference = (values[:, None] - values[None]).abs().mean()
    assert float(gini(torch.tensor([row]))) == pytest.approx(float(mean_difference / (2 * values.mean())), abs=1e-6)
