"""Fourier analysis: high-frequency content of token maps, and accuracy on low-pass, high-pass and band-pass filtered images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.figures import Curve, Series
from efficient360.core.measurement import Conditions, Failure, Measurement, Metric, Outcome, Status
from efficient360.core.statistics import mean_interval
from efficient360.evaluator import ScoreTable
from efficient360.methods.spectral.feature_metrics import BAND_PASS, HIGH_PASS, LOW_PASS, UNFILTERED_CORRECT, FeatureOutcomes

LOG_OFFSET: Final = 1e-6
"""Added to amplitudes before the logarithm, as in Park & Kim."""
CONSTANT: Final = 1e-10
"""Share of the energy below which everything but the mean is rounding error."""


def amplitude_spectrum(tokens: Tensor) -> Tensor:
    """Amplitudes ``(B, rows, columns, channels)``, float64, of maps ``(B, rows, columns, channels)``; frequency 0 first, as ``torch.fft`` orders them."""
    amplitudes: Tensor = torch.fft.fft2(tokens.double(), dim=(1, 2)).abs()
    return amplitudes


def high_frequency_share(amplitudes: Tensor) -> Tensor:
    """Share of a map's energy, without its mean, above half the Nyquist frequency in either direction, ``(B,)`` in [0, 1].

    A frequency counts by the part of its cell that lies above, so that maps of any size can be compared: white noise has 0.75 to 0.77 on maps of
    7 tokens a side and more (0.8 on 4 × 4). 0 for a map of equal tokens.

    Args:
        amplitudes: From :func:`amplitude_spectrum`.
    """
    energy = amplitudes.square().sum(3)
    low = _low_part(energy.shape[1]).to(energy)[:, None] * _low_part(energy.shape[2]).to(energy)[None, :]
    without_mean = energy.sum((1, 2)) - energy[:, 0, 0]
    high = (energy * (1 - low)).sum((1, 2))
    constant = without_mean <= CONSTANT * energy.sum((1, 2))
    return torch.where(constant, 0.0, high / torch.where(constant, 1.0, without_mean)).clamp(0, 1)


def _low_part(side: int) -> Tensor:
    """Part of each frequency's cell, ``(side,)``, below half the Nyquist frequency."""
    frequency: Tensor = torch.fft.fftfreq(side, dtype=torch.float64).abs() * side
    return (side / 4 - frequency + 0.5).clamp(0, 1)


def relative_log_amplitude(amplitudes: Tensor, frequency: float) -> Tensor:
    """Log amplitude at a diagonal frequency minus that at frequency 0, mean over channels, ``(B,)`` (Park & Kim 2022, figure 2).

    Args:
        amplitudes: From :func:`amplitude_spectrum`.
        frequency: Share of the Nyquist frequency, in (0, 1]; the nearest positive frequency of the map is used.
    """
    rows, columns = (max(1, round(frequency * (side // 2))) for side in amplitudes.shape[1:3])
    logs = [(amplitudes[:, row, column] + LOG_OFFSET).log().mean(1) for row, column in ((rows, columns), (0, 0))]
    return logs[0] - logs[1]


@final
@dataclass(frozen=True)
class FrequencyBand:
    """Frequencies in ``(low, high]`` as shares of the Nyquist frequency, by the larger of the two directions (square bands, as Yin et al. 2019).

    Args:
        low: At least 0.
        high: At most 1, above ``low``.
    """

    low: float
    high: float

    def mask(self, height: int, width: int) -> Tensor:
        """Whether each frequency of the real transform is in the band, bool ``(H, W // 2 + 1)``; frequency 0 always is."""
        rows = torch.fft.fftfreq(height, dtype=torch.float64).abs() * 2
        columns = torch.fft.rfftfreq(width, dtype=torch.float64) * 2
        frequency = torch.maximum(rows[:, None], columns[None, :])
        mask = (frequency > self.low) & (frequency <= self.high)
        mask[0, 0] = True
        return mask


def filter_images(images: Tensor, band: FrequencyBand) -> Tensor:
    """The images reduced to a frequency band and their mean colour, float32 ``(B, 3, H, W)``, not clipped.

    The mean colour stays whatever the band: without it half of a high-pass image would be below black.

    Args:
        images: ``(B, 3, H, W)`` in [0, 1].
        band: The frequencies to keep.
    """
    height, width = images.shape[2:]
    transformed = torch.fft.rfft2(images.double()) * band.mask(height, width).to(images.device)
    filtered: Tensor = torch.fft.irfft2(transformed, s=(height, width)).float()
    return filtered


def image_filters(cutoffs: Sequence[float]) -> Iterator[tuple[Metric, Conditions, FrequencyBand]]:
    """A low-pass and a high-pass filter at each cutoff, then a band-pass filter between each cutoff and the next.

    Args:
        cutoffs: Ascending, as shares of the Nyquist frequency.
    """
    for cutoff in cutoffs:
        yield LOW_PASS, {"cutoff": cutoff}, FrequencyBand(0, cutoff)
        yield HIGH_PASS, {"cutoff": cutoff}, FrequencyBand(cutoff, 1)
    for low, high in pairwise(cutoffs):
        yield BAND_PASS, {"from": low, "to": high}, FrequencyBand(low, high)


def filtered_accuracy(table: ScoreTable, cutoffs: Sequence[float], seed: int) -> FeatureOutcomes:
    """Accuracy with each filter, and one figure of all."""
    results = [(metric, conditions, table.column(metric, conditions)) for metric, conditions, _ in image_filters(cutoffs)]
    low, high, bands = ([float(values.mean()) for metric, _, values in results if metric is kind] for kind in (LOW_PASS, HIGH_PASS, BAND_PASS))
    figure = accuracy_by_cutoff(cutoffs, low, high, bands, float(table.column(UNFILTERED_CORRECT).mean()))
    outcomes: list[Outcome] = []
    for metric, conditions, values in results:
        extra = () if outcomes else (figure,)
        outcomes.append(Measurement(metric, float(values.mean()), len(values), mean_interval(values, seed), conditions, extra=extra))
    return FeatureOutcomes(outcomes)


def untrained_accuracy(cutoffs: Sequence[float]) -> FeatureOutcomes:
    """Failures of a network with random weights."""
    message, hint = "random weights: the accuracy on filtered images would mean nothing", "evaluate a trained checkpoint"
    failures = [Failure(Status.UNSUPPORTED, "random-weights", message, hint, metric, conditions) for metric, conditions, _ in image_filters(cutoffs)]
    return FeatureOutcomes(failures)


def accuracy_by_cutoff(cutoffs: Sequence[float], low: Sequence[float], high: Sequence[float], bands: Sequence[float], clean: float) -> Curve:
    """Accuracy on filtered images by cutoff frequency.

    Args:
        cutoffs: Ascending, as shares of the Nyquist frequency.
        low: Accuracy on low-pass filtered images at each.
        high: Accuracy on high-pass filtered images at each.
        bands: Accuracy on band-pass filtered images between each and the next.
        clean: Accuracy on unfiltered images.
    """
    x = tuple(cutoffs)
    centres = tuple(float(np.sqrt(a * b)) for a, b in pairwise(cutoffs))
    series = [
        Series("unfiltered", (x[0], 1.0), (clean, clean), style="reference"),
        Series("low-pass", (*x, 1.0), (*low, clean)),
        Series("high-pass", x, tuple(high)),
    ]
    if centres:
        series.append(Series("band-pass", centres, tuple(bands), style="points"))
    return Curve("Accuracy on filtered images", "frequency (share of Nyquist)", "accuracy", tuple(series), x_log=True)
