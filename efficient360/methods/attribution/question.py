"""What is to be explained: why this class, for these images."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.core.seeding import generators
from efficient360.models.model import TorchModel


@final
@dataclass(frozen=True)
class Question:
    """Images with the class to explain of each.

    Args:
        images: float32 ``(B, 3, H, W)`` in [0, 1], on the model's device.
        classes: int64 ``(B,)``, on the model's device: those that the model predicts.
        ids: Example ids, length ``B``.
        seed: The run's seed.
    """

    images: Tensor
    classes: Tensor
    ids: tuple[str, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.ids)

    def about(self, images: Tensor) -> "Question":
        """The same question about other images of the same examples."""
        return replace(self, images=images)

    def generators(self, salt: str) -> list[np.random.Generator]:
        """A generator for each example, from the seed, the example's id and ``salt`` alone: the same whatever stands beside it."""
        return generators(salt, self.ids, self.seed)


def questions(model: TorchModel, batch: Batch, rows: int) -> Iterator[tuple[Question, int]]:
    """A batch in parts of exactly ``rows`` images, and how many of a part are real.

    A pass of another shape may round differently, and the order of two nearly equal cells turns that into another curve. So every part
    has ``rows`` images, the last one repeated where there are fewer, and what becomes of an example does not depend on its neighbours.
    """
    for start in range(0, len(batch), rows):
        images, ids = batch.images[start : start + rows].to(model.device), batch.ids[start : start + rows]
        missing = rows - len(ids)
        filled = torch.cat([images, images[-1:].expand(missing, *images.shape[1:])])
        with torch.no_grad():
            predicted = model(filled).argmax(1)
        yield Question(filled, predicted, ids + ids[-1:] * missing, batch.seed), len(ids)


def probabilities(model: TorchModel, question: Question) -> Tensor:
    """Probability of each image's class, float32 ``(B,)``, without gradients."""
    with torch.no_grad():
        return model(question.images).softmax(1).gather(1, question.classes[:, None])[:, 0]


def logits(model: TorchModel, question: Question) -> Tensor:
    """Logit of each image's class, float32 ``(B,)``, without gradients."""
    with torch.no_grad():
        return model(question.images).gather(1, question.classes[:, None])[:, 0]
