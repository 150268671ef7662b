"""Images that are made rather than read: each from its own id and the seed, of any size, as many as are wanted."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.core.seeding import generators

Make = Callable[[np.random.Generator, tuple[int, int]], NDArray[Any]]
"""From randomness and ``(H, W)`` to an image ``(3, H, W)`` in [0, 1]."""


@final
@dataclass(frozen=True)
class MadeExamples:
    """Made images of no class. Implements :class:`efficient360.evaluator.Examples`.

    Args:
        name: What they show; with the seed it decides what is drawn.
        make: Makes one.
        size: ``(H, W)``.
        seed: Of all that is drawn.
        ids: Their ids.
    """

    name: str
    make: Make
    size: tuple[int, int]
    seed: int
    ids: Sequence[str]

    @property
    def digest(self) -> str:
        """SHA-256 over what decides the images."""
        return hashlib.sha256("\0".join([self.name, *map(str, self.size), str(self.seed), *self.ids]).encode()).hexdigest()

    @property
    def class_names(self) -> Sequence[str]:
        """Their name stands for a class."""
        return [self.name]

    @property
    def labels(self) -> NDArray[np.int64]:
        """All 0."""
        return np.zeros(len(self), dtype=np.int64)

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """None."""
        return {}

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Consecutive batches; the images are made on first look."""
        for first in range(start, len(self), size):
            ids = tuple(self.ids[first : first + size])
            yield Batch(ids, torch.zeros(len(ids), dtype=torch.int64), partial(self._images, ids), self.seed)

    def subset(self, n: int, seed: int) -> "MadeExamples":
        """The first ``n``: they are as random as any others."""
        return replace(self, ids=self.ids[:n])

    def select(self, ids: Sequence[str]) -> "MadeExamples":
        """Those of these ids."""
        return replace(self, ids=list(ids))

    def _images(self, ids: Sequence[str]) -> Tensor:
        return torch.from_numpy(np.stack([self.make(rng, self.size) for rng in generators(self.name, ids, self.seed)]).astype(np.float32))


def made(name: str, make: Make, size: tuple[int, int], n: int, seed: int) -> MadeExamples:
    """``n`` made images.

    Args:
        name: What they show.
        make: Makes one.
        size: ``(H, W)``.
        n: How many.
        seed: Of all that is drawn.
    """
    return MadeExamples(name, make, size, seed, [f"{name}/{i:05d}" for i in range(n)])
