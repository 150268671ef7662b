"""Insertion and deletion by hand, and the order of cells."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import GRID, SIZE, Counting, batch_of, model_of, noise, vit

from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.insertion_deletion import CurveEndpoints, area_under_curve, cell_counts, insertion_deletion_curves, rank_cells
from efficient360.methods.attribution.method import AttributionBatch, target_probabilities
from efficient360.methods.attribution.occlusion import Occlusion, blurred, mean_colour


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_both_areas_by_hand() -> None:
    model = model_of(Counting([3.0, 1.0, -0.5, 0.25]), 2)
    batch = AttributionBatch(torch.ones((1, *SIZE)), torch.tensor([0]), ("x",), 0)
    baseline = torch.zeros((1, *SIZE))
    endpoints = CurveEndpoints(baseline, target_probabilities(model, batch), target_probabilities(model, batch.with_images(baseline)))
    ranks = rank_cells(torch.tensor([[3.0, 1.0, -0.5, 0.25]]), batch)
    assert ranks.tolist() == [[0, 1, 3, 2]]
    curves = insertion_deletion_curves(model, GRID, batch, ranks, endpoints, cell_counts(4, 4))
    inserted = [sigmoid(total) for total in (0, 3, 4, 4.25, 3.75)]
    deleted = [sigmoid(total) for total in (3.75, 0.75, -0.25, -0.5, 0)]
    assert curves.insertion[0].tolist() == pytest.approx(inserted, abs=1e-6)
    assert curves.deletion[0].tolist() == pytest.approx(deleted, abs=1e-6)
    for values, by_hand in ((curves.insertion, inserted), (curves.deletion, deleted)):
        assert float(area_under_curve(values, curves.fractions)) == pytest.approx(sum((a + b) / 8 for a, b in pairwise(by_hand)), abs=1e-6)


@pytest.mark.parametrize(("cells", "points", "expected"), [(4, 4, [0, 1, 2, 3, 4]), (4, 10, [0, 1, 2, 3, 4]), (64, 4, [0, 16, 32, 48, 64]), (9, 1, [0, 9])])
def test_cell_counts_of_a_curve(cells: int, points: int, expected: list[int]) -> None:
    assert cell_counts(cells, points) == expected


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_inserting_in_an_order_is_deleting_in_the_opposite_one(seed: int) -> None:
    model = model_of(Counting(torch.randn(4, generator=torch.Generator().manual_seed(seed)).tolist()), 2)
    batch = batch_of(model, noise(3, seed=seed))
    baseline = mean_colour(batch.images)
    endpoints = CurveEndpoints(baseline, target_probabilities(model, batch), target_probabilities(model, batch.with_images(baseline)))
    ranks = rank_cells(torch.rand((3, 4), generator=torch.Generator().manual_seed(seed)), batch)
    forward, reverse = (insertion_deletion_curves(model, GRID, batch, order, endpoints, cell_counts(4, 4)) for order in (ranks, 3 - ranks))
    assert torch.allclose(forward.insertion, reverse.deletion.flip(1), atol=1e-6)
    assert torch.allclose(area_under_curve(forward.insertion, forward.fractions), area_under_curve(reverse.deletion, reverse.fractions), atol=1e-6)


def test_ties_are_broken_by_a_permutation_seeded_by_the_example() -> None:
    batch = AttributionBatch(noise(200), torch.zeros(200, dtype=torch.long), tuple(f"x{i}" for i in range(200)), 0)
    ranks = rank_cells(torch.zeros((200, 4)), batch)
    assert torch.equal(ranks.sort(1).values, torch.arange(4).expand(200, 4))
    assert ranks.double().mean(0).tolist() == pytest.approx([1.5] * 4, abs=0.3)
    alone = AttributionBatch(noise(1), torch.zeros(1, dtype=torch.long), ("x7",), 0)
    assert torch.equal(rank_cells(torch.zeros((1, 4)), alone)[0], ranks[7])
    highest = rank_cells(torch.tensor([[0.0, 0.0, 1.0, 0.0]]).expand(200, 4), batch)
    assert (highest[:, 2] == 0).all()


def test_a_model_of_a_single_cell_drops_at_the_first_deletion() -> None:
    weights = [0.0] * 64
    weights[27] = 20.0
    model = model_of(Counting(weights, 8, 8), 2, (3, 32, 32))
    images = noise(4, (3, 32, 32)) * 0.1
    images[:, :, 12:16, 12:16] = 1.0
    batch, grid = batch_of(model, images), Grid(8, 8, 32, 32)
    values = Occlusion().attribute(model, grid, batch)
    assert values.argmax(1).tolist() == [27] * 4
    baseline = torch.zeros_like(images)
    endpoints = CurveEndpoints(baseline, target_probabilities(model, batch), target_probabilities(model, batch.with_images(baseline)))
    curves = insertion_deletion_curves(model, grid, batch, rank_cells(values, batch), endpoints, cell_counts(64, 64))
    assert curves.deletion[:, 0].min() > 0.999
    assert curves.deletion[:, 1:].max() == pytest.approx(0.5)
    assert curves.insertion[:, 1:].min() > 0.999


def test_blurring_keeps_a_constant_image_and_is_symmetric() -> None:
    assert torch.allclose(blurred(torch.full((1, 3, 8, 8), 0.3)), torch.full((1, 3, 8, 8), 0.3))
    point = torch.zeros((1, 3, 9, 9))
    point[:, :, 4, 4] = 1
    point_spread = blurred(point)[0, 0]
    assert torch.allclose(point_spread, point_spread.T)
    assert torch.allclose(point_spread, point_spread.flip(0))
    weights = torch.exp(-0.5 * (torch.arange(-4.0, 5.0) / (9 / 8)) ** 2)
    assert float(point_spread[4, 4]) == pytest.approx(float((1 / weights.sum()) ** 2), rel=1e-5)
    assert point_spread.argmax() == 40


def test_the_mean_colour_is_each_images_own() -> None:
    images = noise(2)
    assert torch.allclose(mean_colour(images)[1, 2, 3, 0], images[1, 2].mean())


def test_the_area_of_a_vit_is_between_its_extremes() -> None:
    model = vit()
    batch = batch_of(model, noise(3, (3, 16, 16)))
    baseline = blurred(batch.images)
    endpoints = CurveEndpoints(baseline, target_probabilities(model, batch), target_probabilities(model, batch.with_images(baseline)))
    curves = insertion_deletion_curves(model, grid_of(model), batch, rank_cells(noise(3, (1, 4, 4)).flatten(1), batch), endpoints, cell_counts(16, 5))
    assert curves.fractions == (0, 3 / 16, 6 / 16, 10 / 16, 13 / 16, 1)
    for values in (curves.insertion, curves.deletion):
        assert ((values.amin(1) <= area_under_curve(values, curves.fractions)) & (area_under_curve(values, curves.fractions) <= values.amax(1))).all()
    assert torch.equal(curves.insertion[:, -1], curves.deletion[:, 0])
