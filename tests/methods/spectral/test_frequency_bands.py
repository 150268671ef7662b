"""Filters: what passes, what does not, and that the parts make the whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from efficient360.methods.spectral.frequency_bands import Band, filtered


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(height=st.integers(2, 17), width=st.integers(2, 17), first=st.floats(0.05, 0.45), second=st.floats(0.5, 0.95), seed=st.integers(0, 99))
def test_bands_side_by_side_make_the_image(height: int, width: int, first: float, second: float, seed: int) -> None:
    images = noise(2, 3, height, width, seed=seed)
    mean = images.mean((2, 3), keepdim=True)
    parts = [filtered(images, band) - mean for band in (Band(0, first), Band(first, second), Band(second, 1))]
    torch.testing.assert_close(sum(parts) + mean, images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("band", [Band(0, 0.25), Band(0.25, 1), Band(0.25, 0.5)])
def test_the_mean_colour_stays_and_filtering_twice_changes_nothing(band: Band) -> None:
    images = noise(2, 3, 12, 12)
    once = filtered(images, band)
    torch.testing.assert_close(once.mean((2, 3)), images.mean((2, 3)))
    torch.testing.assert_close(filtered(once, band), once, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("periods", "band", "passes"),
    [
        (4, Band(0, 0.5), True),
        (5, Band(0, 0.5), False),
        (4, Band(0.5, 1), False),
        (5, Band(0.5, 1), True),
        (8, Band(0.5, 1), True),
        (3, Band(0.25, 0.5), True),
        (2, Band(0.25, 0.5), False),
    ],
)
@pytest.mark.parametrize("axis", [2, 3])
def test_a_known_frequency_passes_or_not(periods: int, band: Band, passes: bool, axis: int) -> None:
    # 16 pixels: the highest frequency is 8 periods
    wave = torch.cos(2 * torch.pi * periods * torch.arange(16) / 16) * 0.3
    images = (0.5 + wave).view(1, 1, *((16, 1) if axis == 2 else (1, 16))).expand(1, 3, 16, 16)
    expected = images if passes else torch.full_like(images, 0.5)
    torch.testing.assert_close(filtered(images, band), expected, atol=1e-6, rtol=0)


def test_a_slanted_frequency_counts_by_its_higher_direction() -> None:
    place = torch.arange(16)
    wave = 0.3 * torch.cos(2 * torch.pi * (1 * place[:, None] + 6 * place[None, :]) / 16)
    images = (0.5 + wave).expand(1, 3, 16, 16)
    torch.testing.assert_close(filtered(images, Band(0, 0.5)), torch.full_like(images, 0.5), atol=1e-6, rtol=0)
    torch.testing.assert_close(filtered(images, Band(0.5, 1)), images, atol=1e-6, rtol=0)
