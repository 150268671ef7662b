"""Examples in memory, for tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.datasets.examples import stratified


@dataclass(frozen=True)
class InMemory:
    """Images float32 ``(n, 3, H, W)`` in [0, 1] with labels."""

    pixels: Tensor
    labels: np.ndarray
    ids: Sequence[str]
    class_names: Sequence[str] = ()
    seed: int = 0

    @property
    def digest(self) -> str:
        return "in memory"

    @property
    def groups(self) -> dict[str, Sequence[str]]:
        return {}

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        for first in range(start, len(self), size):
            window = slice(first, first + size)
            images = self.pixels[window]
            yield Batch(tuple(self.ids[window]), torch.from_numpy(self.labels[window].copy()), partial(torch.Tensor.clone, images), self.seed)

    def subset(self, n: int, seed: int) -> "InMemory":
        return self.take(stratified(self.labels, n, seed))

    def select(self, ids: Sequence[str]) -> "InMemory":
        place = {name: i for i, name in enumerate(self.ids)}
        return self.take(np.array([place[name] for name in ids], dtype=np.int64))

    def take(self, places: np.ndarray) -> "InMemory":
        return replace(self, pixels=self.pixels[torch.from_numpy(places)], labels=self.labels[places], ids=[self.ids[i] for i in places])


def bright_disks(n: int, classes: int, seed: int, split: str, noise: float = 0.25) -> InMemory:
    """Noisy images of one bright spot whose place is the class: to be learned in seconds, and noisy enough to be memorised."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes).astype(np.int64)
    pixels = rng.uniform(0, noise, (n, 3, 16, 16))
    for i, label in enumerate(labels):
        row, column = divmod(int(label), 2)
        pixels[i, :, 4 * row : 4 * row + 4, 8 * column : 8 * column + 4] += 0.4
    pixels = np.rint(np.clip(pixels, 0, 1) * 255) / 255
    width = len(str(n - 1))
    return InMemory(torch.from_numpy(pixels).float(), labels, [f"{split}/{i:0{width}d}" for i in range(n)], [f"spot {i}" for i in range(classes)])
