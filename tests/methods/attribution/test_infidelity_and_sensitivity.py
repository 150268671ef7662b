"""Infidelity and max-sensitivity against captum's with the same random draws."""

import pytest
import torch
from torch import Tensor
from toy_models import GRID, Edges, batch_of, linear_model, noise, vit

from efficient360.methods.attribution.gradients import GradientXInput
from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.infidelity_and_sensitivity import infidelity, masked_logits, max_sensitivity, perturbed, random_squares
from efficient360.methods.attribution.method import RandomAttribution
from efficient360.methods.attribution.occlusion import Occlusion


@pytest.mark.parametrize("method", [GradientXInput(), Occlusion(), RandomAttribution()], ids=lambda m: m.name)
def test_infidelity_is_captums_over_that_of_zeros(method: GradientXInput | Occlusion | RandomAttribution) -> None:
    from captum.metrics import infidelity as captum
    from captum.metrics import infidelity_perturb_func_decorator

    model = vit()
    batch, grid, number = batch_of(model, noise(5, (3, 16, 16))), grid_of(model), 12
    masked = masked_logits(model, grid, batch, number)
    values = method.attribute(model, grid, batch)
    drawn = torch.stack([grid.to_pixels(masked.squares[:, i].float()) for i in range(number)], 1).flatten(0, 1)  # example by example, as captum repeats them
    baseline = batch.images.mean((2, 3), keepdim=True).expand_as(batch.images)

    @infidelity_perturb_func_decorator(True)  # type: ignore[untyped-decorator]
    def cover(images: Tensor, baselines: Tensor) -> Tensor:
        return torch.where(drawn > 0, baselines, images)

    # a cell's value, shared out evenly among its pixels and channels
    pixels = grid.to_pixels(values).expand(-1, 3, -1, -1) / (3 * 16)
    results = [
        captum(model.module, cover, batch.images, attributions, baseline, target=batch.targets, n_perturb_samples=number, normalize=True)
        for attributions in (pixels, torch.zeros_like(pixels))
    ]
    assert torch.allclose(infidelity(values, masked).float(), results[0] / results[1], atol=1e-3)


def test_infidelity_of_a_linear_model_is_zero_at_any_scale() -> None:
    model = linear_model()
    batch = batch_of(model, noise(5))
    masked = masked_logits(model, GRID, batch, 10)
    values = Occlusion().attribute(model, GRID, batch)
    for scale in (1.0, 0.01, -300.0):
        assert float(infidelity(scale * values, masked).max()) < 1e-6
    assert infidelity(torch.zeros_like(values), masked).tolist() == [1.0] * 5
    assert float(infidelity(RandomAttribution().attribute(model, GRID, batch), masked).mean()) > 0.2


def test_infidelity_without_logit_drops_is_one() -> None:
    model = linear_model()
    batch = batch_of(model, torch.full((2, 3, 4, 4), 0.5))
    masked = masked_logits(model, GRID, batch, 4)
    assert infidelity(torch.ones((2, 4)), masked).tolist() == [1.0, 1.0]


def test_squares_are_square_and_seeded_by_the_example() -> None:
    grid = Grid(6, 8, 24, 32)
    batch = batch_of(linear_model(size=(3, 24, 32)), noise(3, (3, 24, 32)))
    drawn = random_squares(grid, batch, 40).view(3, 40, 6, 8)
    for square in drawn.flatten(0, 1):
        rows, columns = square.any(1).nonzero()[:, 0], square.any(0).nonzero()[:, 0]
        assert len(rows) == len(columns)
        assert 1 <= len(rows) <= 3
        assert int(square.sum()) == len(rows) ** 2
        assert int(rows[-1] - rows[0]) == len(rows) - 1
    assert {int(square.sum()) for square in drawn.flatten(0, 1)} == {1, 4, 9}
    alone = type(batch)(batch.images[2:], batch.targets[2:], ("x2",), 0)
    assert torch.equal(random_squares(grid, alone, 40)[0], drawn[2].flatten(1))


@pytest.mark.parametrize("method", [GradientXInput(), Edges(), RandomAttribution()], ids=lambda m: m.name)
def test_max_sensitivity_is_captums(method: GradientXInput | Edges | RandomAttribution) -> None:
    from captum.metrics import sensitivity_max

    model = vit()
    batch, grid, draws = batch_of(model, noise(4, (3, 16, 16))), grid_of(model), 5
    values = method.attribute(model, grid, batch)
    ours = max_sensitivity(lambda moved: method.attribute(model, grid, moved), values, batch, 0.05, draws)
    moved = torch.stack([perturbed(batch, 0.05, draw).images for draw in range(draws)], 1).flatten(0, 1)

    def explain(images: tuple[Tensor, ...] | Tensor, target: Tensor) -> tuple[Tensor]:
        pixels = images[0] if isinstance(images, tuple) else images
        ids = tuple(name for name in batch.ids for _ in range(len(pixels) // len(batch)))
        with torch.enable_grad():
            return (method.attribute(model, grid, type(batch)(pixels, target, ids, 0)),)

    theirs = sensitivity_max(explain, batch.images, lambda _images: moved, n_perturb_samples=draws, target=batch.targets)
    assert torch.allclose(ours.float(), theirs, atol=1e-4)
    assert (float(ours.max()) == 0) == isinstance(method, RandomAttribution)


def test_perturbations_stay_within_radius_and_pixel_range_and_are_seeded_by_the_example() -> None:
    batch = batch_of(linear_model(), noise(3))
    moved = perturbed(batch, 0.1, 0)
    assert float((moved.images - batch.images).abs().max()) <= 0.1 + 1e-6
    assert 0 <= float(moved.images.min()) <= float(moved.images.max()) <= 1
    assert torch.equal(moved.targets, batch.targets)
    assert not torch.equal(perturbed(batch, 0.1, 1).images, moved.images)
    alone = type(batch)(batch.images[1:2], batch.targets[1:2], ("x1",), 0)
    assert torch.equal(perturbed(alone, 0.1, 0).images[0], moved.images[1])


def test_distances_from_zero_attributions_are_not_divided() -> None:
    batch = batch_of(linear_model(), noise(2))
    sensitivity = max_sensitivity(lambda _moved: torch.full((2, 4), 0.5), torch.zeros((2, 4)), batch, 0.1, 2)
    assert sensitivity.tolist() == [1.0, 1.0]
