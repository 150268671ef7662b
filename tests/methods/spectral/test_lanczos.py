"""Lanczos' method against full decompositions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.spectral.lanczos import initial_state, largest_singular_value


def test_the_largest_singular_value_of_a_matrix() -> None:
    matrix = torch.randn(60, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = torch.randn(40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert largest_singular_value(lambda x: matrix @ x, start, 40) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-6)
    assert largest_singular_value(lambda x: 2 * x, start, 40) == pytest.approx(2)
    assert largest_singular_value(lambda x: 0 * x, start, 40) == 0


@settings(max_examples=20, deadline=None)
@given(size=st.integers(2, 12), seed=st.integers(0, 999))
def test_as_many_steps_as_dimensions_find_the_extreme_eigenvalues(size: int, seed: int) -> None:
    matrix = torch.from_numpy(np.random.default_rng(seed).normal(size=(size, size))).float()
    matrix = matrix + matrix.T
    state = initial_state(size, seed)
    while state.steps < size and not state.converged(1e-6):
        state = state.advance(lambda vector: matrix @ vector)
    top, lowest, residual = state.ritz_values()
    exact = torch.linalg.eigvalsh(matrix.double())
    assert top == pytest.approx(exact[-1].item(), abs=1e-3 + residual)
    assert lowest >= exact[0].item() - 1e-3


def test_a_single_eigenvalue_converges_at_once() -> None:
    state = initial_state(5, 0).advance(lambda vector: 3 * vector)
    assert state.converged(0.01)
    assert state.ritz_values()[0] == pytest.approx(3)
    assert not initial_state(5, 0).converged(0.01)
