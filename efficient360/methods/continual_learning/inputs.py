"""What a network is fed: the pixels of images, or features that were taken from them once."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.storage.pixel_store import PixelStore

CHUNK: Final = 50
"""Images a pass that learns nothing: fixed, so that no number depends on the run's batch size."""


class Inputs(ABC):
    """Rows that a network takes."""

    @abstractmethod
    def take(self, rows: NDArray[np.int64]) -> Tensor:
        """The inputs of these rows, float32 ``(B, …)``."""


@final
@dataclass(frozen=True)
class Pixels(Inputs):
    """Images on disk."""

    store: PixelStore

    def take(self, rows: NDArray[np.int64]) -> Tensor:
        """Images ``(B, 3, H, W)`` in [0, 1]."""
        return self.store.images(rows)


@final
@dataclass(frozen=True)
class Features(Inputs):
    """Features in memory, float32 ``(n, D)``."""

    values: Tensor

    def take(self, rows: NDArray[np.int64]) -> Tensor:
        return self.values[torch.from_numpy(rows)]


@final
@dataclass(frozen=True)
class Part:
    """Some rows with their labels.

    Args:
        inputs: Whose rows.
        rows: Which, int64 ``(n,)``.
        labels: The output that is the right answer to each, int64 ``(n,)``.
    """

    inputs: Inputs
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Inputs and labels at some places of this part."""
        return self.inputs.take(self.rows[places]), torch.from_numpy(self.labels[places])

    def of_labels(self, wanted: tuple[int, ...]) -> "Part":
        """Those whose label is among ``wanted``."""
        kept = np.flatnonzero(np.isin(self.labels, wanted))
        return Part(self.inputs, self.rows[kept], self.labels[kept])

    def relabelled(self, names: NDArray[Any]) -> "Part":
        """The same rows, label ``l`` become ``names[l]``."""
        return Part(self.inputs, self.rows, names[self.labels].astype(np.int64))
