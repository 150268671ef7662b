"""Noise: Gaussian, shot (Poisson), impulse (salt and pepper) and speckle."""

from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.methods.corruptions.corruption import ImageCorruption, Pixels, quantise

MAX_TABLE_PHOTONS = 64
"""Up to this photon count Poisson noise is drawn from alias tables; beyond, numpy's sampler is as fast."""


@final
@dataclass(frozen=True)
class GaussianNoise(ImageCorruption):
    """Independent Gaussian noise on every value, as in low light.

    Args:
        sigma: Standard deviation, white being 1.
    """

    sigma: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        levels = rng.standard_normal(pixels.shape, dtype=np.float32)
        levels *= 255 * self.sigma
        levels += pixels
        return quantise(levels)


@final
@dataclass(frozen=True)
class ShotNoise(ImageCorruption):
    """Shot (Poisson) noise, from the discrete nature of light.

    Args:
        photons: Expected photon count of a white value; fewer is noisier.
    """

    photons: int

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return poisson_noise(pixels, self.photons, rng)


@final
@dataclass(frozen=True)
class ImpulseNoise(ImageCorruption):
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
class SpeckleNoise(ImageCorruption):
    """Multiplicative Gaussian noise.

    Args:
        sigma: Standard deviation as a share of the value.
    """

    sigma: float

    def apply(self, pixels: Pixels, rng: np.random.Generator) -> Pixels:
        levels = rng.standard_normal(pixels.shape, dtype=np.float32)
        levels *= self.sigma
        levels += 1
        levels *= pixels
        return quantise(levels)


@final
@dataclass(frozen=True)
class AliasTables:
    """Walker's alias tables (Walker 1977) of Poisson distributions: an 8-bit image has only 256 rates, so one row per pixel value.

    Args:
        columns: Entries per row, a power of two.
        thresholds: float32 ``(256 * columns,)``: probability that an entry keeps its own value.
        values: uint8 ``(columns,)``: pixel value of an entry.
        aliases: uint8 ``(256 * columns,)``: pixel value that it gives otherwise.
    """

    columns: int
    thresholds: NDArray[np.float32]
    values: Pixels
    aliases: Pixels


def poisson_noise(pixels: Pixels, photons: int, rng: np.random.Generator) -> Pixels:
    """Counts from a Poisson distribution of rate ``photons · pixel / 255``, scaled back to pixel values and clipped at white. Any shape.

    The distribution is exact up to the 24 bits of a draw.
    """
    if photons > MAX_TABLE_PHOTONS:
        return quantise(rng.poisson(pixels * (photons / 255)) * (255 / photons))
    tables = alias_tables(photons)
    drawn = rng.random(pixels.shape, dtype=np.float32)
    drawn *= tables.columns
    column = drawn.astype(np.uint8)  # at most 127
    drawn -= column
    entry = np.multiply(pixels, tables.columns, dtype=np.int32)
    entry += column
    return np.where(drawn < tables.thresholds.take(entry), tables.values.take(column), tables.aliases.take(entry))


@cache
def alias_tables(photons: int) -> AliasTables:
    """The tables for a photon count of at most 64. Counts beyond it are white, so a row has ``photons + 1`` outcomes."""
    columns = 1 << photons.bit_length()
    counts, rates = np.arange(photons), np.arange(256)[:, None] * (photons / 255)
    probabilities = np.zeros((256, columns))
    probabilities[:, :photons] = stats.poisson.pmf(counts, rates)
    probabilities[:, photons] = stats.poisson.sf(photons - 1, rates)[:, 0]
    thresholds, aliases = _build_alias(probabilities * columns)
    values = quantise(np.minimum(np.arange(columns), photons) * (255 / photons))
    return AliasTables(columns, thresholds.astype(np.float32).ravel(), values, values[aliases].ravel())


def _build_alias(mass: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Fill the lightest open entry of every row up to 1 from the heaviest, until each holds 1."""
    rows = np.arange(len(mass))
    thresholds, aliases = np.ones_like(mass), np.tile(np.arange(mass.shape[1]), (len(mass), 1))
    done = np.zeros(mass.shape, dtype=bool)
    for _ in range(mass.shape[1] - 1):
        light, heavy = np.where(done, np.inf, mass).argmin(1), np.where(done, -np.inf, mass).argmax(1)
        lacking = np.clip(1 - mass[rows, light], 0, 1)
        thresholds[rows, light], aliases[rows, light] = 1 - lacking, heavy
        mass[rows, heavy] -= lacking
        done[rows, light] = True
    return thresholds, aliases
