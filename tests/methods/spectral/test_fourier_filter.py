import numpy as np
import pytest
import torch
from torch import nn

from efficient360.methods.spectral.fourier_filter import filter_of, filter_spectrum
from efficient360.methods.spectral.singular_values import effective_rank


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
def test_the_singular_values_are_those_of_the_probed_operator(size: tuple[int, int]) -> None:
    module = GlobalFilter(*size, 3).requires_grad_(False)
    inputs = torch.eye(size[0] * size[1] * 3).view(-1, *size, 3)
    dense = module(inputs).flatten(1).T.double()
    expected = torch.linalg.svdvals(dense).numpy()
    weight = filter_of(module)
    assert weight is not None
    spectrum = filter_spectrum(weight)
    assert spectrum.norm == pytest.approx(expected[0], rel=1e-5)
    assert spectrum.energy == pytest.approx(float((expected**2).sum()), rel=1e-5)
    assert spectrum.rank == len(expected)
    assert spectrum.effective_share * spectrum.rank == pytest.approx(effective_rank(expected), rel=1e-5)
    one_position = dense.view(-1, 3, len(dense)).norm(dim=2)[0].sum()
    assert spectrum.row_norms == pytest.approx(float(one_position), rel=1e-5)


def test_a_complex_parameter_is_a_filter_and_a_linear_layer_is_none() -> None:
    module = nn.Module()
    module.register_parameter("kernel", nn.Parameter(torch.ones(4, 3, 2, dtype=torch.complex64)))
    weight = filter_of(module)
    assert weight is not None
    np.testing.assert_allclose([filter_spectrum(weight).norm, filter_spectrum(weight).stable_share], 1)
    assert filter_of(nn.Linear(2, 2)) is None
