import numpy as np
import pytest
import timm.layers
import torch
from torch import nn

from efficient360.methods.spectral.convolution import blocks_of, caught, convolution_spectrum, symbols_of
from efficient360.methods.spectral.lanczos import largest_singular_value
from efficient360.methods.spectral.singular_values import effective_rank, squared_singular_values


def probed(module: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
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
def test_norm_and_energy_are_those_of_the_probed_matrix(module: nn.Module) -> None:
    shape = (1, module.in_channels, *([7] * (module.weight.ndim - 2)))
    dense = probed(seeded(module), shape)
    spectrum = convolution_spectrum(module, shape, torch.Generator().manual_seed(0))
    assert spectrum.norm == pytest.approx(float(torch.linalg.matrix_norm(dense, 2)), rel=1e-3)
    assert spectrum.energy == pytest.approx(float(dense.square().sum()), rel=1e-4)
    assert spectrum.rank == min(dense.shape)
    assert 0 < spectrum.effective_share <= 1


@pytest.mark.parametrize(("stride", "groups", "dilation"), [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 2, 1), (1, 1, 2)], ids=str)
def test_the_symbols_hold_all_singular_values_on_a_torus(stride: int, groups: int, dilation: int) -> None:
    module = nn.Conv2d(4, 2, 3, stride=stride, padding=dilation, groups=groups, dilation=dilation, padding_mode="circular", bias=False)
    dense = probed(seeded(module), (1, 4, 6, 6))
    kernel = module.weight.double().reshape(groups, 2 // groups, 4 // groups, 3, 3)
    values = squared_singular_values(symbols_of(kernel, [stride] * 2, [dilation] * 2, 6 // stride)).flatten().sort().values.sqrt()
    expected = torch.linalg.svdvals(dense).sort().values
    np.testing.assert_allclose(values.numpy(), expected.numpy(), atol=1e-5 * float(expected[-1]))


def test_the_effective_rank_is_that_on_the_torus() -> None:
    module = seeded(nn.Conv2d(3, 5, 3, padding=1, padding_mode="circular", bias=False))
    dense = probed(module, (1, 3, 8, 8))
    expected = effective_rank(torch.linalg.svdvals(dense).numpy()) / min(dense.shape)
    assert convolution_spectrum(module, (1, 3, 8, 8), torch.Generator().manual_seed(0)).effective_share == pytest.approx(expected, rel=1e-5)


def test_row_norms_are_those_of_one_position() -> None:
    plain, across = seeded(nn.Conv2d(3, 4, 3, padding=1)), seeded(nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1))
    found = [convolution_spectrum(m, (1, 3, 7, 7), torch.Generator().manual_seed(0)).row_norms for m in (plain, across)]
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
def test_a_convolution_that_sees_every_input_once_is_one_matrix_at_every_position(module: nn.Module, size: int) -> None:
    shape = (1, module.in_channels, size, size)
    dense = probed(seeded(module), shape)
    blocks = blocks_of(caught(module, torch.ones(shape)))
    assert blocks is not None
    mine = torch.linalg.svdvals(torch.block_diag(*blocks).double())
    theirs = torch.linalg.svdvals(dense)
    theirs = theirs[theirs > 1e-9]
    np.testing.assert_allclose(theirs.numpy(), np.sort(np.repeat(mine.numpy(), len(theirs) // len(mine)))[::-1], rtol=1e-5)


@pytest.mark.parametrize("module", [nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 2, stride=1), nn.Conv2d(3, 4, 4, stride=4, padding=2)])
def test_one_that_overlaps_or_pads_is_none(module: nn.Module) -> None:
    assert blocks_of(caught(module, torch.ones(1, 3, 8, 8))) is None


def test_lanczos_finds_the_largest_singular_value_of_a_matrix() -> None:
    matrix = torch.randn(60, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = torch.randn(40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert largest_singular_value(lambda x: matrix @ x, start, 40) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-6)
    assert largest_singular_value(lambda x: 2 * x, start, 40) == pytest.approx(2)
    assert largest_singular_value(lambda x: 0 * x, start, 40) == 0
