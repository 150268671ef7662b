"""The spectrum of every layer of a network: singular values, power-law α and stable rank of its heads, from one decomposition each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch

from efficient360.methods.spectral.convolution_spectra import convolution_spectrum, filter_spectrum
from efficient360.methods.spectral.linear_operators import ConvolutionWeight, MatrixWeight, OperatorInventory, OperatorWeight
from efficient360.methods.spectral.power_law_alpha import SMALLEST_EIGENVALUE, PowerLawTail, fit_power_law
from efficient360.methods.spectral.stable_rank import OperatorSpectrum, matrix_spectrum, random_stable_rank, squared_singular_values
from efficient360.methods.spectral.weight_roles import WeightRole

MINIMUM_SIDE: Final = 8
"""Smaller side a matrix needs to be compared with a random one: a vector's stable rank is always 1."""


@final
@dataclass(frozen=True)
class LayerSpectrum:
    """One weight and its spectrum.

    Args:
        name: Dotted name of the module, followed by the role where several were fused.
        role: What it does.
        number: Its position in the network, from 1.
        shape: Rows and columns of its matrix, or of a block; empty for a convolution or a filter.
        spectrum: Summary of its singular values.
        power_law: Power law of its eigenvalues, ``None`` where none was fitted.
        head_rank_shares: Stable rank of each head as a share of its full rank; empty where it has no heads.
    """

    name: str
    role: WeightRole
    number: int
    shape: tuple[int, ...]
    spectrum: OperatorSpectrum
    power_law: PowerLawTail | None = None
    head_rank_shares: tuple[float, ...] = ()

    @property
    def stable_rank_ratio(self) -> float | None:
        """Stable rank over that of a random matrix of its shape; ``None`` for anything but a matrix with both sides of 8 or more."""
        if not self.shape or min(self.shape) < MINIMUM_SIDE or self.spectrum.full_rank > min(self.shape) or self.spectrum.spectral_norm == 0:
            return None
        return self.spectrum.stable_rank / random_stable_rank(*self.shape)


def layer_spectra(inventory: OperatorInventory, smallest: int, seed: int, on_progress: Callable[[int, int], None]) -> Sequence[LayerSpectrum]:
    """Decompose every weight.

    Args:
        inventory: The weights.
        smallest: Smaller side a matrix needs for a power-law fit.
        seed: Seeds the iterations for convolutions.
        on_progress: Called with (done, total) after each weight; may raise to stop.
    """
    layers = []
    for number, weight in enumerate(inventory.weights, 1):
        layers.append(_layer_spectrum(number, weight, smallest, seed))
        on_progress(number, len(inventory.weights))
    return layers


def _layer_spectrum(number: int, weight: OperatorWeight, smallest: int, seed: int) -> LayerSpectrum:
    if isinstance(weight, ConvolutionWeight):
        spectrum = convolution_spectrum(weight.module, weight.shape, torch.Generator().manual_seed(seed))
        return LayerSpectrum(weight.name, weight.role, number, (), spectrum)
    if not isinstance(weight, MatrixWeight):
        return LayerSpectrum(weight.name, weight.role, number, (), filter_spectrum(weight.weight))
    shape = tuple(weight.blocks.shape[1:])
    spectrum = matrix_spectrum(weight.blocks)
    fitted = len(weight.blocks) == 1 and min(shape) >= smallest
    power_law = fit_power_law(spectrum.eigenvalues[spectrum.eigenvalues > SMALLEST_EIGENVALUE]) if fitted else None
    return LayerSpectrum(weight.name, weight.role, number, shape, spectrum, power_law, _head_rank_shares(weight))


def _head_rank_shares(weight: MatrixWeight) -> tuple[float, ...]:
    if weight.heads == 1 or len(weight.blocks) > 1:
        return ()
    squares = squared_singular_values(weight.blocks[0].reshape(weight.heads, -1, weight.blocks.shape[2])).numpy()
    largest = squares.max(1)
    shares = np.divide(squares.sum(1), largest, out=np.zeros_like(largest), where=largest > 0) / squares.shape[1]
    return tuple(float(share) for share in shares)
