"""Insertion and deletion by hand, and the order of cells."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_models import GRID, SIZE, Counting, asked, model_of, noise, vit

from efficient360.methods.attribution.blanks import blur, mean
from efficient360.methods.attribution.curves import Ends, area, counts, curves, ranks
from efficient360.methods.attribution.grid import Grid, grid_of
from efficient360.methods.attribution.occlusion import Occlusion
from efficient360.methods.attribution.question import Question, probabilities


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_both_areas_by_hand() -> None:
    model = model_of(Counting([3.0, 1.0, -0.5, 0.25]), 2)
    question = Question(torch.ones((1, *SIZE)), torch.tensor([0]), ("x",), 0)
    blank = torch.zeros((1, *SIZE))
    ends = Ends(blank, probabilities(model, question), probabilities(model, question.about(blank)))
    rank = ranks(torch.tensor([[3.0, 1.0, -0.5, 0.25]]), question)
    assert rank.tolist() == [[0, 1, 3, 2]]
    found = curves(model, GRID, question, rank, ends, counts(4, 4))
    inserted = [sigmoid(total) for total in (0, 3, 4, 4.25, 3.75)]
    deleted = [sigmoid(total) for total in (3.75, 0.75, -0.25, -0.5, 0)]
    assert found.insertion[0].tolist() == pytest.approx(inserted, abs=1e-6)
    assert found.deletion[0].tolist() == pytest.approx(deleted, abs=1e-6)
    for values, by_hand in ((found.insertion, inserted), (found.deletion, deleted)):
        assert float(area(values, found.shares)) == pytest.approx(sum((a + b) / 8 for a, b in pairwise(by_hand)), abs=1e-6)


@pytest.mark.parametrize(("cells", "points", "expected"), [(4, 4, [0, 1, 2, 3, 4]), (4, 10, [0, 1, 2, 3, 4]), (64, 4, [0, 16, 32, 48, 64]), (9, 1, [0, 9])])
def test_the_points_of_a_curve(cells: int, points: int, expected: list[int]) -> None:
    assert counts(cells, points) == expected


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_inserting_in_an_order_is_deleting_in_the_opposite_one(seed: int) -> None:
    model = model_of(Counting(torch.randn(4, generator=torch.Generator().manual_seed(seed)).tolist()), 2)
    question = asked(model, noise(3, seed=seed))
    blank = mean(question.images)
    ends = Ends(blank, probabilities(model, question), probabilities(model, question.about(blank)))
    rank = ranks(torch.rand((3, 4), generator=torch.Generator().manual_seed(seed)), question)
    there, back = (curves(model, GRID, question, one, ends, counts(4, 4)) for one in (rank, 3 - rank))
    assert torch.allclose(there.insertion, back.deletion.flip(1), atol=1e-6)
    assert torch.allclose(area(there.insertion, there.shares), area(back.deletion, back.shares), atol=1e-6)


def test_equal_values_are_ordered_by_the_examples_own_draw() -> None:
    question = Question(noise(200), torch.zeros(200, dtype=torch.long), tuple(f"x{i}" for i in range(200)), 0)
    drawn = ranks(torch.zeros((200, 4)), question)
    assert torch.equal(drawn.sort(1).values, torch.arange(4).expand(200, 4))
    assert drawn.double().mean(0).tolist() == pytest.approx([1.5] * 4, abs=0.3)
    alone = Question(noise(1), torch.zeros(1, dtype=torch.long), ("x7",), 0)
    assert torch.equal(ranks(torch.zeros((1, 4)), alone)[0], drawn[7])
    highest = ranks(torch.tensor([[0.0, 0.0, 1.0, 0.0]]).expand(200, 4), question)
    assert (highest[:, 2] == 0).all()


def test_a_model_that_looks_at_one_cell_falls_at_once() -> None:
    weights = [0.0] * 64
    weights[27] = 20.0
    model = model_of(Counting(weights, 8, 8), 2, (3, 32, 32))
    images = noise(4, (3, 32, 32)) * 0.1
    images[:, :, 12:16, 12:16] = 1.0
    question, grid = asked(model, images), Grid(8, 8, 32, 32)
    values = Occlusion().explain(model, grid, question)
    assert values.argmax(1).tolist() == [27] * 4
    blank = torch.zeros_like(images)
    ends = Ends(blank, probabilities(model, question), probabilities(model, question.about(blank)))
    found = curves(model, grid, question, ranks(values, question), ends, counts(64, 64))
    assert found.deletion[:, 0].min() > 0.999
    assert found.deletion[:, 1:].max() == pytest.approx(0.5)
    assert found.insertion[:, 1:].min() > 0.999


def test_blurring_keeps_a_colour_and_spreads_a_point_symmetrically() -> None:
    assert torch.allclose(blur(torch.full((1, 3, 8, 8), 0.3)), torch.full((1, 3, 8, 8), 0.3))
    point = torch.zeros((1, 3, 9, 9))
    point[:, :, 4, 4] = 1
    spread = blur(point)[0, 0]
    assert torch.allclose(spread, spread.T)
    assert torch.allclose(spread, spread.flip(0))
    weights = torch.exp(-0.5 * (torch.arange(-4.0, 5.0) / (9 / 8)) ** 2)
    assert float(spread[4, 4]) == pytest.approx(float((1 / weights.sum()) ** 2), rel=1e-5)
    assert spread.argmax() == 40


def test_the_mean_colour_is_each_images_own() -> None:
    images = noise(2)
    assert torch.allclose(mean(images)[1, 2, 3, 0], images[1, 2].mean())


def test_the_area_of_a_vit_is_between_its_extremes() -> None:
    model = vit()
    question = asked(model, noise(3, (3, 16, 16)))
    blank = blur(question.images)
    ends = Ends(blank, probabilities(model, question), probabilities(model, question.about(blank)))
    found = curves(model, grid_of(model), question, ranks(noise(3, (1, 4, 4)).flatten(1), question), ends, counts(16, 5))
    assert found.shares == (0, 3 / 16, 6 / 16, 10 / 16, 13 / 16, 1)
    for values in (found.insertion, found.deletion):
        assert ((values.amin(1) <= area(values, found.shares)) & (area(values, found.shares) <= values.amax(1))).all()
    assert torch.equal(found.insertion[:, -1], found.deletion[:, 0])
