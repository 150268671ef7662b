import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from efficient360.methods.spectral.singular_values import effective_rank, random_stable_rank, spectrum_of, squared_singular_values


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_an_orthogonal_matrix_has_full_rank_whichever_way_it_is_counted() -> None:
    matrix = torch.linalg.qr(gaussian(24, 24))[0] * 3
    spectrum = spectrum_of(matrix[None])
    assert spectrum.norm == pytest.approx(3)
    assert spectrum.stable_share == pytest.approx(1)
    assert spectrum.effective_share == pytest.approx(1)
    assert spectrum.row_norms == pytest.approx(24 * 3)


def test_a_rank_one_matrix_has_rank_one() -> None:
    left, right = gaussian(20), gaussian(30, seed=1)
    spectrum = spectrum_of(torch.outer(left, right)[None])
    assert spectrum.norm == pytest.approx(float(left.norm() * right.norm()))
    assert spectrum.stable_rank == pytest.approx(1)
    assert spectrum.effective_share * 20 == pytest.approx(1, abs=1e-4)
    assert spectrum.row_norms == pytest.approx(float(left.abs().sum() * right.norm()))


def test_a_diagonal_matrix_by_hand() -> None:
    spectrum = spectrum_of(torch.diag(torch.tensor([4.0, -2.0, 2.0, 0.0]))[None])
    assert spectrum.norm == pytest.approx(4)
    assert spectrum.stable_rank == pytest.approx((16 + 4 + 4) / 16)
    # shares 1/2, 1/4, 1/4: entropy 1.5 ln 2
    assert spectrum.effective_share * 4 == pytest.approx(2**1.5)


def test_blocks_are_one_block_diagonal_matrix() -> None:
    blocks = gaussian(3, 4, 6)
    one, whole = spectrum_of(blocks), spectrum_of(torch.block_diag(*blocks)[None])
    assert (one.norm, one.stable_rank, one.effective_share, one.rank) == pytest.approx((whole.norm, whole.stable_rank, whole.effective_share, whole.rank))
    assert one.squares.size == 0


def test_zeros_have_no_rank() -> None:
    spectrum = spectrum_of(torch.zeros(1, 4, 4))
    assert (spectrum.norm, spectrum.stable_rank, spectrum.effective_share) == (0, 0, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000), st.floats(0.01, 100))
def test_ranks_lie_between_one_and_full_and_scale_changes_nothing(rows: int, columns: int, seed: int, factor: float) -> None:
    matrix = gaussian(rows, columns, seed=seed)
    spectrum, scaled = spectrum_of(matrix[None]), spectrum_of(matrix[None] * factor)
    full = min(rows, columns)
    assert 1 - 1e-9 <= spectrum.stable_rank <= full + 1e-9
    assert spectrum.stable_rank <= spectrum.effective_share * full * (1 + 1e-9) or full == 1
    assert scaled.stable_rank == pytest.approx(spectrum.stable_rank)
    assert scaled.effective_share == pytest.approx(spectrum.effective_share)
    assert scaled.norm == pytest.approx(factor * spectrum.norm)


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
    spectrum = spectrum_of(gaussian(*shape)[None])
    assert spectrum.squares[-1] == pytest.approx((np.sqrt(rows) + np.sqrt(columns)) ** 2, rel=0.03)
    assert spectrum.stable_rank == pytest.approx(random_stable_rank(rows, columns), rel=0.05)


def test_effective_rank_is_the_exponential_of_scipys_entropy() -> None:
    values = np.abs(np.random.default_rng(0).standard_normal(50))
    assert effective_rank(values) == pytest.approx(np.exp(stats.entropy(values)))
