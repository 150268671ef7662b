"""Which examples make a subset: stratified by label, seeded, nested."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def stratified(labels: NDArray[np.integer[Any]], n: int, seed: int) -> NDArray[np.int64]:
    """Positions of ``n`` examples whose labels are shared out as in the whole, in ascending order.

    Each example gets its place within its class, ``(rank + u) / size`` with a random rank and offset ``u`` in [0, 1); the ``n`` smallest
    places win. So every class gets its share within one example, and the subset of a smaller ``n`` is part of the one of a larger.

    Args:
        labels: int ``(N,)``.
        n: How many, at least 1; all of them when ``n >= N``.
        seed: Same seed, same subset.
    """
    if n >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (rng.permutation(len(members)) + rng.random()) / len(members)
    return np.sort(np.argsort(place, kind="stable")[:n]).astype(np.int64)
