"""Randomness that belongs to an example, not to its place in a batch."""

import hashlib
from collections.abc import Sequence

import numpy as np


def generators(salt: str, ids: Sequence[str], seed: int) -> list[np.random.Generator]:
    """A generator for each example, from the seed, the example's id and ``salt`` alone: the same whatever stands beside it."""
    return [np.random.default_rng(list(hashlib.sha256(f"{seed}\0{salt}\0{name}".encode()).digest())) for name in ids]
