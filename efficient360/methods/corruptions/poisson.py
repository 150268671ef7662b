"""Poisson noise of 8-bit pixels from tables: an image has only 256 different rates."""

from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from efficient360.methods.corruptions.corruption import Pixels, quantised

LARGEST = 64
"""Photon counts up to here are drawn from tables; beyond, numpy's sampler is as quick."""


@final
@dataclass(frozen=True)
class Tables:
    """Walker's alias tables (Walker 1977), one row a pixel value.

    Args:
        columns: Entries a row, a power of two.
        shares: float32 ``(256 * columns,)``: how often an entry stands for itself.
        own: uint8 ``(columns,)``: the pixel value an entry stands for.
        other: uint8 ``(256 * columns,)``: the pixel value it stands for otherwise.
    """

    columns: int
    shares: NDArray[np.float32]
    own: Pixels
    other: Pixels


def photon_noise(pixels: Pixels, photons: int, rng: np.random.Generator) -> Pixels:
    """Counts drawn from a Poisson law of rate ``photons · pixel / 255``, as pixel values again, clipped at white. Any shape.

    The law is exact but for the 24 bits of a draw.
    """
    if photons > LARGEST:
        return quantised(rng.poisson(pixels * (photons / 255)) * (255 / photons))
    tables = alias_tables(photons)
    drawn = rng.random(pixels.shape, dtype=np.float32)
    drawn *= tables.columns
    column = drawn.astype(np.uint8)  # at most 127
    drawn -= column
    entry = np.multiply(pixels, tables.columns, dtype=np.int32)
    entry += column
    return np.where(drawn < tables.shares.take(entry), tables.own.take(column), tables.other.take(entry))


@cache
def alias_tables(photons: int) -> Tables:
    """The tables of a photon count of at most 64: a count beyond it is white, so a row has ``photons + 1`` outcomes."""
    columns = 1 << photons.bit_length()
    counts, rates = np.arange(photons), np.arange(256)[:, None] * (photons / 255)
    law = np.zeros((256, columns))
    law[:, :photons] = stats.poisson.pmf(counts, rates)
    law[:, photons] = stats.poisson.sf(photons - 1, rates)[:, 0]
    shares, aliases = _paired(law * columns)
    own = quantised(np.minimum(np.arange(columns), photons) * (255 / photons))
    return Tables(columns, shares.astype(np.float32).ravel(), own, own[aliases].ravel())


def _paired(mass: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Fill the lightest open entry of every row up to 1 from the heaviest, until each holds 1."""
    rows = np.arange(len(mass))
    shares, aliases = np.ones_like(mass), np.tile(np.arange(mass.shape[1]), (len(mass), 1))
    done = np.zeros(mass.shape, dtype=bool)
    for _ in range(mass.shape[1] - 1):
        light, heavy = np.where(done, np.inf, mass).argmin(1), np.where(done, -np.inf, mass).argmax(1)
        lacking = np.clip(1 - mass[rows, light], 0, 1)
        shares[rows, light], aliases[rows, light] = 1 - lacking, heavy
        mass[rows, heavy] -= lacking
        done[rows, light] = True
    return shares, aliases
