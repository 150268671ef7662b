"""The Fourier spectrum of maps of tokens: how much of them is detail."""

from typing import Final

import torch
from torch import Tensor

FLOOR: Final = 1e-6
"""Added to amplitudes before their logarithm, as Park & Kim do."""
FLAT: Final = 1e-10
"""Share of the energy below which what lies beyond the mean is rounding."""


def spectrum(tokens: Tensor) -> Tensor:
    """Amplitudes ``(B, rows, columns, channels)``, float64, of maps ``(B, rows, columns, channels)``; frequency 0 first, as ``torch.fft`` orders them."""
    amplitudes: Tensor = torch.fft.fft2(tokens.double(), dim=(1, 2)).abs()
    return amplitudes


def high_frequency_share(amplitudes: Tensor) -> Tensor:
    """Share of a map's energy beyond its mean that lies above half the highest frequency in either direction, ``(B,)`` in [0, 1].

    A frequency counts by the part of its cell that lies above, so that maps of any size can be compared: white noise has 0.75 to 0.77 on maps of
    7 tokens a side and more (0.8 on 4 × 4). 0 for a map of equal tokens: it has no detail at all.

    Args:
        amplitudes: From :func:`spectrum`.
    """
    energy = amplitudes.square().sum(3)
    low = _low(energy.shape[1]).to(energy)[:, None] * _low(energy.shape[2]).to(energy)[None, :]
    beyond = energy.sum((1, 2)) - energy[:, 0, 0]
    high = (energy * (1 - low)).sum((1, 2))
    flat = beyond <= FLAT * energy.sum((1, 2))
    return torch.where(flat, 0.0, high / torch.where(flat, 1.0, beyond)).clamp(0, 1)


def _low(side: int) -> Tensor:
    """How much of each frequency's cell, ``(side,)``, lies below half the highest frequency."""
    frequency: Tensor = torch.fft.fftfreq(side, dtype=torch.float64).abs() * side
    return (side / 4 - frequency + 0.5).clamp(0, 1)


def relative_log_amplitude(amplitudes: Tensor, frequency: float) -> Tensor:
    """Mean over channels of the log amplitude at a frequency on the diagonal less that at frequency 0, ``(B,)`` (Park & Kim 2022, figure 2).

    Args:
        amplitudes: From :func:`spectrum`.
        frequency: Share of the highest frequency π, in (0, 1]; the nearest one above 0 on the map is taken.
    """
    rows, columns = (max(1, round(frequency * (side // 2))) for side in amplitudes.shape[1:3])
    logs = [(amplitudes[:, row, column] + FLOOR).log().mean(1) for row, column in ((rows, columns), (0, 0))]
    return logs[0] - logs[1]
