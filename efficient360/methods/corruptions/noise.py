"""Noise: Gaussian, photon (shot), impulse and speckle."""

from dataclasses import dataclass
from typing import final

import numpy as np

from efficient360.methods.corruptions.corruption import Corruption, Pixels, quantised
from efficient360.methods.corruptions.poisson import photon_noise


@final
@dataclass(frozen=True)
class GaussianNoise(Corruption):
    """Independent Gaussian noise on every value, as in low light.

    Args:
        sigma: Standard deviation, white being 1.
    """

    sigma: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        levels = rng.standard_normal(pixels.shape, dtype=np.float32)
        levels *= 255 * self.sigma
        levels += pixels
        return quantised(levels)


@final
@dataclass(frozen=True)
class ShotNoise(Corruption):
    """Photon noise, from the discrete nature of light.

    Args:
        photons: Expected count of a white value; fewer is noisier.
    """

    photons: int

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return photon_noise(pixels, self.photons, rng)


@final
@dataclass(frozen=True)
class ImpulseNoise(Corruption):
    """Salt and pepper: some values become 0 or 255, as by bit errors.

    Args:
        amount: Share of the values, half of them white.
    """

    amount: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        drawn = rng.random(pixels.shape, dtype=np.float32)
        noisy = pixels.copy()
        np.copyto(noisy, 0, where=drawn < self.amount / 2)
        np.copyto(noisy, 255, where=drawn >= 1 - self.amount / 2)
        return noisy


@final
@dataclass(frozen=True)
class SpeckleNoise(Corruption):
    """Gaussian noise in proportion to the value.

    Args:
        sigma: Standard deviation as a share of the value.
    """

    sigma: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        levels = rng.standard_normal(pixels.shape, dtype=np.float32)
        levels *= self.sigma
        levels += 1
        levels *= pixels
        return quantised(levels)
