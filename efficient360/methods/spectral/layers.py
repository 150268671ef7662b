"""The spectra of all weights of a network, one decomposition each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch

from efficient360.methods.spectral.convolution import convolution_spectrum
from efficient360.methods.spectral.fourier_filter import filter_spectrum
from efficient360.methods.spectral.inventory import ConvolutionWeight, Inventory, MatrixWeight, Weight
from efficient360.methods.spectral.kinds import Kind
from efficient360.methods.spectral.power_law import SMALLEST_EIGENVALUE, PowerLaw, fit_power_law
from efficient360.methods.spectral.singular_values import Spectrum, random_stable_rank, spectrum_of, squared_singular_values

NARROWEST: Final = 8
"""Side from which on a matrix is compared with a random one: a vector's stable rank is always 1."""


@final
@dataclass(frozen=True)
class Layer:
    """One weight and its spectrum.

    Args:
        name: Dotted name, with the part where it was fused.
        kind: What it does.
        number: Its place in the network, from 1.
        shape: Rows and columns of its matrix, or of a block; empty for a convolution or a filter.
        spectrum: Its singular values, summed up.
        law: Power law of its eigenvalues, ``None`` where none was fitted.
        heads: Stable rank of each head as a share of its rank; empty where it has no heads.
    """

    name: str
    kind: Kind
    number: int
    shape: tuple[int, ...]
    spectrum: Spectrum
    law: PowerLaw | None = None
    heads: tuple[float, ...] = ()

    @property
    def against_random(self) -> float | None:
        """Stable rank over that of a matrix of its shape with independent entries; ``None`` where it is no matrix, or narrow."""
        if not self.shape or min(self.shape) < NARROWEST or self.spectrum.rank > min(self.shape) or self.spectrum.norm == 0:
            return None
        return self.spectrum.stable_rank / random_stable_rank(*self.shape)


def layers_of(found: Inventory, smallest: int, seed: int, step: Callable[[int, int], None]) -> Sequence[Layer]:
    """Decompose every weight.

    Args:
        found: The weights.
        smallest: Smaller side from which on a power law is fitted.
        seed: Seeds the iterations of convolutions.
        step: Told (done, total) after each weight; may raise to stop.
    """
    layers = []
    for number, weight in enumerate(found.weights, 1):
        layers.append(_layer(number, weight, smallest, seed))
        step(number, len(found.weights))
    return layers


def _layer(number: int, weight: Weight, smallest: int, seed: int) -> Layer:
    if isinstance(weight, ConvolutionWeight):
        spectrum = convolution_spectrum(weight.module, weight.shape, torch.Generator().manual_seed(seed))
        return Layer(weight.name, weight.kind, number, (), spectrum)
    if not isinstance(weight, MatrixWeight):
        return Layer(weight.name, weight.kind, number, (), filter_spectrum(weight.weight))
    shape = tuple(weight.blocks.shape[1:])
    spectrum = spectrum_of(weight.blocks)
    law = fit_power_law(spectrum.squares[spectrum.squares > SMALLEST_EIGENVALUE]) if len(weight.blocks) == 1 and min(shape) >= smallest else None
    return Layer(weight.name, weight.kind, number, shape, spectrum, law, _heads(weight))


def _heads(weight: MatrixWeight) -> tuple[float, ...]:
    if weight.heads == 1 or len(weight.blocks) > 1:
        return ()
    squares = squared_singular_values(weight.blocks[0].reshape(weight.heads, -1, weight.blocks.shape[2])).numpy()
    top = squares.max(1)
    shares = np.divide(squares.sum(1), top, out=np.zeros_like(top), where=top > 0) / squares.shape[1]
    return tuple(float(share) for share in shares)
