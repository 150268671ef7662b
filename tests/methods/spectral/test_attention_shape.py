"""Attention of which everything is known: uniform, identity, one token for all."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.spectral.attention_shape import distances_between, entropy, extent_of, mean_distance, response

SQUARE = (1.0, 1.0)


def uniform(queries: int, keys: int) -> torch.Tensor:
    return torch.full((queries, keys), 1 / keys)


def test_uniform_attention() -> None:
    attention = uniform(4, 4)
    assert entropy(attention).item() == pytest.approx(math.log(4))
    assert response(attention).item() == 0
    distances = distances_between((2, 2), (2, 2), SQUARE)
    assert mean_distance(attention, distances).item() == pytest.approx((0 + 0.5 + 0.5 + math.sqrt(0.5)) / 4)


def test_identity_attention() -> None:
    attention = torch.eye(9)
    assert entropy(attention).item() == 0
    assert response(attention).item() == pytest.approx(1)
    assert mean_distance(attention, distances_between((3, 3), (3, 3), SQUARE)).item() == 0


def test_attention_of_all_to_one_token_lets_nothing_through() -> None:
    attention = torch.eye(6)[[2] * 6]
    assert (entropy(attention).item(), response(attention).item()) == (0, 0)


def test_attention_to_the_neighbour_looks_one_step_far() -> None:
    attention = torch.eye(4).roll(1, 1)[None, None]  # in a row of four: three look one step, one three steps
    distances = distances_between((1, 4), (1, 4), (1.0, 4.0))
    assert mean_distance(attention, distances).item() == pytest.approx((1 + 1 + 1 + 3) / 4)
    assert response(attention).item() == pytest.approx(1)


def test_a_large_uniform_grid_looks_as_far_as_two_points_in_a_square() -> None:
    distances = distances_between((32, 32), (32, 32), SQUARE)
    known = (2 + math.sqrt(2) + 5 * math.log(1 + math.sqrt(2))) / 15  # mean distance of two random points in the unit square
    assert mean_distance(uniform(1024, 1024), distances).item() == pytest.approx(known, rel=0.002)


def test_attention_to_class_tokens_does_not_count() -> None:
    distances = distances_between((1, 2), (1, 2), (1.0, 2.0))
    assert mean_distance(torch.tensor([[0.1, 0.1], [0.2, 0.2]]), distances).item() == pytest.approx(0.5)
    assert mean_distance(torch.zeros(2, 2), distances).item() == 0


def test_reduced_keys_lie_in_the_middle_of_their_cells() -> None:
    distances = distances_between((2, 2), (1, 1), SQUARE)
    assert distances.flatten().tolist() == pytest.approx([math.sqrt(2) / 4] * 4)


def test_more_queries_than_keys_let_everything_through_where_each_key_is_read_as_often() -> None:
    attention = torch.eye(3).repeat_interleave(4, 0)
    assert response(attention).item() == pytest.approx(1)


def test_the_extent_of_an_image() -> None:
    assert extent_of(32, 32) == (1, 1)
    assert extent_of(10, 40) == pytest.approx((0.5, 2))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 8), seed=st.integers(0, 999))
def test_the_response_is_the_gain_for_white_noise_beyond_its_mean(n: int, seed: int) -> None:
    attention = np.random.default_rng(seed).dirichlet(np.full(n, 0.5), size=n)
    centre = np.eye(n) - 1 / n
    matrix = centre @ attention @ centre
    ours = response(torch.from_numpy(attention)).item()
    assert ours == pytest.approx(np.linalg.norm(matrix) / math.sqrt(n - 1))
    assert 0 <= ours <= 1 + 1e-12
    assert entropy(torch.from_numpy(attention)).item() <= math.log(n) + 1e-12
