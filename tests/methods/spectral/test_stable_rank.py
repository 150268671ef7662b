"""Spectral spectral_norm, stable full_rank and effective full_rank of matrices whose singular values are known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from efficient360.methods.spectral.stable_rank import effective_rank, matrix_spectrum, random_stable_rank, squared_singular_values


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_an_orthogonal_matrix_has_full_rank_whichever_way_it_is_counted() -> None:
    matrix = torch.linalg.qr(gaussian(24, 24))[0] * 3
    spectrum = matrix_spectrum(matrix[None])
    assert spectrum.spectral_norm == pytest.approx(3)
    assert spectrum.stable_rank_share == pytest.approx(1)
    assert spectrum.effective_rank_share == pytest.approx(1)
    assert spectrum.row_norm_sum == pytest.approx(24 * 3)


def test_a_rank_one_matrix_has_rank_one() -> None:
    left, right = gaussian(20), gaussian(30, seed=1)
    spectrum = matrix_spectrum(torch.outer(left, right)[None])
    assert spectrum.spectral_norm == pytest.approx(float(left.norm() * right.norm()))
    assert spectrum.stable_rank == pytest.approx(1)
    assert spectrum.effective_rank_share * 20 == pytest.approx(1, abs=1e-4)
    assert spectrum.row_norm_sum == pytest.approx(float(left.abs().sum() * right.norm()))


def test_a_diagonal_matrix_by_hand() -> None:
    spectrum = matrix_spectrum(torch.diag(torch.tensor([4.0, -2.0, 2.0, 0.0]))[None])
    assert spectrum.spectral_norm == pytest.approx(4)
    assert spectrum.stable_rank == pytest.approx((16 + 4 + 4) / 16)
    # shares 1/2, 1/4, 1/4: entropy 1.5 ln 2
    assert spectrum.effective_rank_share * 4 == pytest.approx(2**1.5)


def test_blocks_are_one_block_diagonal_matrix() -> None:
    blocks = gaussian(3, 4, 6)
    blockwise, whole = matrix_spectrum(blocks), matrix_spectrum(torch.block_diag(*blocks)[None])
    assert blockwise.spectral_norm == pytest.approx(whole.spectral_norm)
    assert blockwise.stable_rank == pytest.approx(whole.stable_rank)
    assert blockwise.effective_rank_share == pytest.approx(whole.effective_rank_share)
    assert blockwise.full_rank == whole.full_rank
    assert blockwise.eigenvalues.size == 0


def test_zeros_have_no_rank() -> None:
    spectrum = matrix_spectrum(torch.zeros(1, 4, 4))
    assert (spectrum.spectral_norm, spectrum.stable_rank, spectrum.effective_rank_share) == (0, 0, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000), st.floats(0.01, 100))
def test_ranks_lie_between_one_and_full_and_scale_changes_nothing(rows: int, columns: int, seed: int, factor: float) -> None:
    matrix = gaussian(rows, columns, seed=seed)
    spectrum, scaled = matrix_spectrum(matrix[None]), matrix_spectrum(matrix[None] * factor)
    full = min(rows, columns)
    assert 1 - 1e-9 <= spectrum.stable_rank <= full + 1e-9
    assert spectrum.stable_rank <= spectrum.effective_rank_share * full * (1 + 1e-9) or full == 1
    assert scaled.stable_rank == pytest.approx(spectrum.stable_rank)
    assert scaled.effective_rank_share == pytest.approx(spectrum.effective_rank_share)
    assert scaled.spectral_norm == pytest.approx(factor * spectrum.spectral_norm)


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (33, 33)])
def test_the_values_are_those_of_a_decomposition(shape: tuple[int, int]) -> None:
    matrix = gaussian(*shape)
    expected = np.sort(np.linalg.svd(matrix.numpy(), compute_uv=False) ** 2)
    np.testing.assert_allclose(squared_singular_values(matrix).numpy(), expected, rtol=1e-9)


def test_complex_matrices_have_real_singular_values() -> None:
    matrix = torch.complex(gaussian(5, 9), gaussian(5, 9, seed=1))
    np.testing.assert_allclose(squared_singular_values(matrix).numpy(), np.sort(np.linalg.svd(matrix.numpy(), compute_uv=False) ** 2), rtol=1e-9)


@pytest.mark.parametrize("shape", [(300, 300), (200, 600)])
def test_a_gaussian_matrix_ends_at_the_edge_of_marchenko_and_pastur(shape: tuple[int, int]) -> None:
    rows, columns = shape
    spectrum = matrix_spectrum(gaussian(*shape)[None])
    assert spectrum.eigenvalues[-1] == pytest.approx((np.sqrt(rows) + np.sqrt(columns)) ** 2, rel=0.03)
    assert spectrum.stable_rank == pytest.approx(random_stable_rank(rows, columns), rel=0.05)


def test_effective_rank_is_the_exponential_of_scipys_entropy() -> None:
    values = np.abs(np.random.default_rng(0).standard_normal(50))
    assert effective_rank(values) == pytest.approx(np.exp(stats.entropy(values)))
