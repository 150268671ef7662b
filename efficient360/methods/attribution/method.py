"""What an attribution method is given and returns, and the random attributions that every method is compared with."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.core.seeding import generators
from efficient360.methods.attribution.grid import Grid
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class AttributionBatch:
    """Images, each with the target class that is explained.

    Args:
        images: float32 ``(B, 3, H, W)`` in [0, 1], on the model's device.
        targets: Target classes, int64 ``(B,)``, on the model's device: the model's predictions.
        ids: Example ids, length ``B``.
        seed: The run's seed.
    """

    images: Tensor
    targets: Tensor
    ids: tuple[str, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.ids)

    def with_images(self, images: Tensor) -> "AttributionBatch":
        """Other images of the same examples, with the same target classes."""
        return replace(self, images=images)

    def generators(self, salt: str) -> list[np.random.Generator]:
        """A random generator per example, seeded by the run's seed, the example's id and ``salt`` only, so that it does not depend on the rest of the batch."""
        return generators(salt, self.ids, self.seed)


def attribution_batches(model: TorchModel, batch: Batch, size: int) -> Iterator[tuple[AttributionBatch, int]]:
    """Split a batch into attribution batches of exactly ``size`` images; yields each with its number of real (unpadded) images.

    A forward pass of another shape may round differently, which can swap two nearly equal cells and so change a curve. Hence every batch has
    ``size`` images, the last image repeated as padding, and an example's results do not depend on the rest of its batch.
    """
    for start in range(0, len(batch), size):
        images, ids = batch.images[start : start + size].to(model.device), batch.ids[start : start + size]
        missing = size - len(ids)
        padded = torch.cat([images, images[-1:].expand(missing, *images.shape[1:])])
        with torch.no_grad():
            predicted = model(padded).argmax(1)
        yield AttributionBatch(padded, predicted, ids + ids[-1:] * missing, batch.seed), len(ids)


def target_probabilities(model: TorchModel, batch: AttributionBatch) -> Tensor:
    """Probability of each image's target class, float32 ``(B,)``, without gradients."""
    with torch.no_grad():
        return model(batch.images).softmax(1).gather(1, batch.targets[:, None])[:, 0]


def target_logits(model: TorchModel, batch: AttributionBatch) -> Tensor:
    """Logit of each image's target class, float32 ``(B,)``, without gradients."""
    with torch.no_grad():
        return model(batch.images).gather(1, batch.targets[:, None])[:, 0]


class AttributionMethod(ABC):
    """Attributes the target logit to the cells of an image. Subclasses are frozen dataclasses whose fields are their settings.

    A method leaves the model unchanged and treats each image on its own: its attributions do not depend on the rest of the batch.
    """

    name: ClassVar[str]
    """Stable kebab-case name."""
    title: ClassVar[str]
    """Display name."""
    source: ClassVar[str]
    """The paper."""
    satisfies_completeness: ClassVar[bool] = False
    """Whether the attributions should sum to the target logit of the image minus that of the zero-input baseline."""

    @abstractmethod
    def require(self, model: TorchModel) -> None:
        """Check that the method applies to the model, before any work is done.

        Raises:
            Unsupported: The network lacks something that the method needs.
        """

    @abstractmethod
    def attribute(self, model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
        """Attributions, float32 ``(B, cells)``, finite, in the grid's order; the higher, the stronger the evidence for the target class."""


@final
@dataclass(frozen=True)
class RandomAttribution(AttributionMethod):
    """Uniform random attributions, seeded by the run's seed and the example's id: independent of image and model."""

    name: ClassVar[str] = "random"
    title: ClassVar[str] = "Random"
    source: ClassVar[str] = "Petsiuk, Das & Saenko 2018 (random order as the baseline of insertion and deletion)"

    def require(self, model: TorchModel) -> None:
        return None

    def attribute(self, model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
        attributions = np.stack([rng.random(grid.cells, dtype=np.float32) for rng in batch.generators(self.name)])
        return torch.from_numpy(attributions).to(batch.images.device)
