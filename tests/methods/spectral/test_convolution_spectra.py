"""Spectra of convolutions and Fourier filters against the dense matrices of the same operators."""

from typing import Any

import numpy as np
import pytest
import timm.layers
import torch
from torch import nn

from efficient360.methods.spectral.convolution_spectra import (
    as_matrix_blocks,
    convolution_arguments,
    convolution_spectrum,
    convolution_symbols,
    filter_spectrum,
    fourier_filter,
)
from efficient360.methods.spectral.stable_rank import effective_rank, squared_singular_values


def dense_matrix(module: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    """The operator as a dense matrix, one column an input."""
    inputs = torch.eye(int(np.prod(shape))).view(-1, *shape[1:])
    with torch.no_grad():
        return (module(inputs) - module(torch.zeros(shape))).flatten(1).T.double()


def seeded(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module.eval().requires_grad_(False)


CASES = [
    nn.Conv2d(3, 4, 3, padding=1),
    nn.Conv2d(2, 5, 3, stride=2, padding=1),
    nn.Conv2d(4, 4, 3, padding=1, groups=4),
    nn.Conv2d(4, 8, 5, padding=2, groups=2, bias=False),
    nn.Conv2d(2, 3, 3, padding=2, dilation=2),
    nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
    nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1),
    nn.Conv1d(3, 4, 5, padding=2),
    timm.layers.StdConv2dSame(3, 4, 3, stride=2),
]


@pytest.mark.parametrize("module", CASES, ids=lambda m: f"{type(m).__name__}-{m.stride[0]}-{m.groups}-{m.padding_mode}")
def test_norm_and_energy_are_those_of_the_dense_matrix(module: Any) -> None:
    shape = (1, module.in_channels, *([7] * (module.weight.ndim - 2)))
    dense = dense_matrix(seeded(module), shape)
    spectrum = convolution_spectrum(module, shape, torch.Generator().manual_seed(0))
    assert spectrum.spectral_norm == pytest.approx(float(torch.linalg.matrix_norm(dense, 2)), rel=1e-3)
    assert spectrum.squared_frobenius == pytest.approx(float(dense.square().sum()), rel=1e-4)
    assert spectrum.full_rank == min(dense.shape)
    assert 0 < spectrum.effective_rank_share <= 1


@pytest.mark.parametrize(("stride", "groups", "dilation"), [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 2, 1), (1, 1, 2)], ids=str)
def test_the_symbols_hold_all_singular_values_with_circular_padding(stride: int, groups: int, dilation: int) -> None:
    module = nn.Conv2d(4, 2, 3, stride=stride, padding=dilation, groups=groups, dilation=dilation, padding_mode="circular", bias=False)
    dense = dense_matrix(seeded(module), (1, 4, 6, 6))
    kernel = module.weight.double().reshape(groups, 2 // groups, 4 // groups, 3, 3)
    values = squared_singular_values(convolution_symbols(kernel, [stride] * 2, [dilation] * 2, 6 // stride)).flatten().sort().values.sqrt()
    expected = torch.linalg.svdvals(dense).sort().values
    np.testing.assert_allclose(values.numpy(), expected.numpy(), atol=1e-5 * float(expected[-1]))


def test_the_effective_rank_is_that_with_circular_padding() -> None:
    module = seeded(nn.Conv2d(3, 5, 3, padding=1, padding_mode="circular", bias=False))
    dense = dense_matrix(module, (1, 3, 8, 8))
    expected = effective_rank(torch.linalg.svdvals(dense).numpy()) / min(dense.shape)
    assert convolution_spectrum(module, (1, 3, 8, 8), torch.Generator().manual_seed(0)).effective_rank_share == pytest.approx(expected, rel=1e-5)


def test_row_norms_are_those_of_one_position() -> None:
    plain, across = seeded(nn.Conv2d(3, 4, 3, padding=1)), seeded(nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1))
    found = [convolution_spectrum(m, (1, 3, 7, 7), torch.Generator().manual_seed(0)).row_norm_sum for m in (plain, across)]
    assert found[0] == pytest.approx(float(plain.weight.double().flatten(1).norm(dim=1).sum()))
    assert found[1] == pytest.approx(float(across.weight.double().transpose(0, 1).flatten(1).norm(dim=1).sum()))


@pytest.mark.parametrize(
    ("module", "size"),
    [
        (nn.Conv2d(3, 8, 4, stride=4), 8),
        (nn.Conv2d(6, 4, 1, groups=2), 3),
        (nn.Conv2d(6, 4, 1, stride=2), 4),
        (nn.ConvTranspose2d(4, 3, 2, stride=2), 3),
    ],
    ids=["patches", "grouped pixels", "strided pixels", "transposed patches"],
)
def test_a_convolution_without_overlap_is_one_matrix_at_every_position(module: Any, size: int) -> None:
    shape = (1, module.in_channels, size, size)
    dense = dense_matrix(seeded(module), shape)
    blocks = as_matrix_blocks(convolution_arguments(module, torch.ones(shape)))
    assert blocks is not None
    mine = torch.linalg.svdvals(torch.block_diag(*blocks).double())
    theirs = torch.linalg.svdvals(dense)
    theirs = theirs[theirs > 1e-9]
    np.testing.assert_allclose(theirs.numpy(), np.sort(np.repeat(mine.numpy(), len(theirs) // len(mine)))[::-1], rtol=1e-5)


@pytest.mark.parametrize("module", [nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 2, stride=1), nn.Conv2d(3, 4, 4, stride=4, padding=2)])
def test_overlapping_or_padded_windows_are_no_matrix(module: nn.Module) -> None:
    assert as_matrix_blocks(convolution_arguments(module, torch.ones(1, 3, 8, 8))) is None


class GlobalFilter(nn.Module):
    """GFNet's mixing of tokens, on maps ``(B, H, W, C)``."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.complex_weight = nn.Parameter(torch.randn(height, width // 2 + 1, channels, 2, generator=generator))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft2(maps, dim=(1, 2), norm="ortho") * torch.view_as_complex(self.complex_weight)
        return torch.fft.irfft2(spectrum, s=maps.shape[1:3], dim=(1, 2), norm="ortho")


@pytest.mark.parametrize("size", [(6, 6), (5, 5), (4, 6)])
def test_the_singular_values_are_those_of_the_dense_matrix(size: tuple[int, int]) -> None:
    module = GlobalFilter(*size, 3).requires_grad_(False)
    inputs = torch.eye(size[0] * size[1] * 3).view(-1, *size, 3)
    dense = module(inputs).flatten(1).T.double()
    expected = torch.linalg.svdvals(dense).numpy()
    weight = fourier_filter(module)
    assert weight is not None
    spectrum = filter_spectrum(weight)
    assert spectrum.spectral_norm == pytest.approx(expected[0], rel=1e-5)
    assert spectrum.squared_frobenius == pytest.approx(float((expected**2).sum()), rel=1e-5)
    assert spectrum.full_rank == len(expected)
    assert spectrum.effective_rank_share * spectrum.full_rank == pytest.approx(effective_rank(expected), rel=1e-5)
    one_position = dense.view(-1, 3, len(dense)).norm(dim=2)[0].sum()
    assert spectrum.row_norm_sum == pytest.approx(float(one_position), rel=1e-5)


def test_a_complex_parameter_is_a_filter_and_a_linear_layer_is_none() -> None:
    module = nn.Module()
    module.register_parameter("kernel", nn.Parameter(torch.ones(4, 3, 2, dtype=torch.complex64)))
    weight = fourier_filter(module)
    assert weight is not None
    np.testing.assert_allclose([filter_spectrum(weight).spectral_norm, filter_spectrum(weight).stable_rank_share], 1)
    assert fourier_filter(nn.Linear(2, 2)) is None
