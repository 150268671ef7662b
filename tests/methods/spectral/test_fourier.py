"""Spectra of maps whose frequencies are known; filters: what passes, what does not, and that the bands add up to the image."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from efficient360.methods.spectral.fourier import (
    FrequencyBand,
    accuracy_by_cutoff,
    amplitude_spectrum,
    filter_images,
    high_frequency_share,
    relative_log_amplitude,
)


def wave(rows: int, columns: int, down: int, across: int, mean: float = 1.0, size: float = 1.0) -> Tensor:
    """One image, one channel: a cosine of so many periods down and across the map."""
    y, x = torch.meshgrid(torch.arange(rows).double(), torch.arange(columns).double(), indexing="ij")
    phase = 2 * torch.pi * (down * y / rows + across * x / columns)
    return (mean + size * torch.cos(phase))[None, :, :, None]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_sinusoid_has_its_energy_at_its_frequency() -> None:
    amplitudes = amplitude_spectrum(wave(8, 8, 1, 2, mean=3.0, size=2.0))[0, :, :, 0]
    expected = torch.zeros(8, 8, dtype=torch.float64)
    expected[0, 0], expected[1, 2], expected[7, 6] = 3 * 64, 64, 64
    torch.testing.assert_close(amplitudes, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("down", "across", "share"), [(1, 0, 0.0), (1, 1, 0.0), (2, 0, 0.5), (2, 2, 0.75), (3, 0, 1.0), (0, 4, 1.0), (4, 4, 1.0)])
def test_the_share_of_a_sinusoid_is_where_its_frequency_lies(down: int, across: int, share: float) -> None:
    # 8 tokens: half the Nyquist frequency is 2 periods, whose cell is half below it
    assert high_frequency_share(amplitude_spectrum(wave(8, 8, down, across))).item() == pytest.approx(share, abs=1e-12)


def test_two_waves_share_by_their_energy() -> None:
    both = wave(16, 16, 1, 0, 0.0, 1.0) + wave(16, 16, 0, 7, 0.0, 2.0)
    assert high_frequency_share(amplitude_spectrum(both)).item() == pytest.approx(4 / 5)


@pytest.mark.parametrize("side", [7, 8, 14, 28, 56])
def test_white_noise_has_three_quarters_on_a_map_of_any_size(side: int) -> None:
    share = high_frequency_share(amplitude_spectrum(noise(4, side, side, 60))).mean().item()
    assert share == pytest.approx(0.75, abs=0.025)


def test_a_map_of_equal_tokens_has_no_high_frequencies() -> None:
    tokens = noise(2, 1, 1, 5).expand(2, 6, 6, 5)
    assert high_frequency_share(amplitude_spectrum(tokens)).tolist() == [0, 0]
    assert high_frequency_share(amplitude_spectrum(torch.zeros(1, 4, 4, 3))).tolist() == [0]


def test_the_log_amplitude_of_a_checkerboard_at_the_highest_frequency() -> None:
    tokens = wave(8, 8, 4, 4, mean=10.0, size=0.1)
    assert relative_log_amplitude(amplitude_spectrum(tokens), 1.0).item() == pytest.approx(np.log(0.1 / 10), abs=1e-5)
    # nothing at half of it: only the offset is left
    assert relative_log_amplitude(amplitude_spectrum(tokens), 0.5).item() == pytest.approx(np.log(1e-6 / 640), abs=1e-3)


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (7, 7), (6, 9)])
def test_the_log_amplitude_is_the_mean_over_channels_along_the_shifted_diagonal(rows: int, columns: int) -> None:
    tokens = noise(3, rows, columns, 5).numpy()
    shifted = np.fft.fftshift(np.log(np.abs(np.fft.fft2(tokens, axes=(1, 2))) + 1e-6), axes=(1, 2)).mean(-1)
    centre = shifted[:, rows // 2, columns // 2]
    corner = shifted[:, 0 if rows % 2 == 0 else -1, 0 if columns % 2 == 0 else -1]
    ours = relative_log_amplitude(amplitude_spectrum(torch.from_numpy(tokens)), 1.0).numpy()
    np.testing.assert_allclose(ours, corner - centre, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(2, 9), columns=st.integers(2, 9), scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_the_share_is_a_share_and_knows_no_scale(rows: int, columns: int, scale: float, seed: int) -> None:
    tokens = noise(2, rows, columns, 3, seed=seed)
    share = high_frequency_share(amplitude_spectrum(tokens))
    assert ((share >= 0) & (share <= 1)).all()
    torch.testing.assert_close(high_frequency_share(amplitude_spectrum(scale * tokens)), share, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(high_frequency_share(amplitude_spectrum(tokens.roll(1, 2))), share, rtol=1e-5, atol=1e-6)


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(height=st.integers(2, 17), width=st.integers(2, 17), first=st.floats(0.05, 0.45), second=st.floats(0.5, 0.95), seed=st.integers(0, 99))
def test_adjacent_bands_add_up_to_the_image(height: int, width: int, first: float, second: float, seed: int) -> None:
    images = random_images(2, 3, height, width, seed=seed)
    mean = images.mean((2, 3), keepdim=True)
    parts = [filter_images(images, band) - mean for band in (FrequencyBand(0, first), FrequencyBand(first, second), FrequencyBand(second, 1))]
    torch.testing.assert_close(sum(parts) + mean, images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("band", [FrequencyBand(0, 0.25), FrequencyBand(0.25, 1), FrequencyBand(0.25, 0.5)])
def test_the_mean_colour_stays_and_filtering_twice_changes_nothing(band: FrequencyBand) -> None:
    images = random_images(2, 3, 12, 12)
    once = filter_images(images, band)
    torch.testing.assert_close(once.mean((2, 3)), images.mean((2, 3)))
    torch.testing.assert_close(filter_images(once, band), once, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("periods", "band", "passes"),
    [
        (4, FrequencyBand(0, 0.5), True),
        (5, FrequencyBand(0, 0.5), False),
        (4, FrequencyBand(0.5, 1), False),
        (5, FrequencyBand(0.5, 1), True),
        (8, FrequencyBand(0.5, 1), True),
        (3, FrequencyBand(0.25, 0.5), True),
        (2, FrequencyBand(0.25, 0.5), False),
    ],
)
@pytest.mark.parametrize("axis", [2, 3])
def test_a_known_frequency_passes_or_not(periods: int, band: FrequencyBand, passes: bool, axis: int) -> None:
    # 16 pixels: the Nyquist frequency is 8 periods
    wave = torch.cos(2 * torch.pi * periods * torch.arange(16) / 16) * 0.3
    images = (0.5 + wave).view(1, 1, *((16, 1) if axis == 2 else (1, 16))).expand(1, 3, 16, 16)
    expected = images if passes else torch.full_like(images, 0.5)
    torch.testing.assert_close(filter_images(images, band), expected, atol=1e-6, rtol=0)


def test_a_diagonal_frequency_counts_by_the_larger_direction() -> None:
    place = torch.arange(16)
    wave = 0.3 * torch.cos(2 * torch.pi * (1 * place[:, None] + 6 * place[None, :]) / 16)
    images = (0.5 + wave).expand(1, 3, 16, 16)
    torch.testing.assert_close(filter_images(images, FrequencyBand(0, 0.5)), torch.full_like(images, 0.5), atol=1e-6, rtol=0)
    torch.testing.assert_close(filter_images(images, FrequencyBand(0.5, 1)), images, atol=1e-6, rtol=0)


def test_the_low_pass_curve_ends_at_the_unfiltered_image() -> None:
    curve = accuracy_by_cutoff((0.25, 1 / 3), (0.2, 0.6), (0.5, 0.3), (0.1,), 0.9)
    below, above, between = curve.series[1:]
    assert (below.x[-1], below.y[-1]) == (1.0, 0.9)
    assert above.y == (0.5, 0.3)
    np.testing.assert_allclose(between.x, np.sqrt(0.25 / 3))
    assert len(accuracy_by_cutoff((0.5,), (0.2,), (0.5,), (), 0.9).series) == 3
