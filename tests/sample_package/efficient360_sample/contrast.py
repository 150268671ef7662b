"""Accuracy at lowered contrast."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from efficient360.evaluator import ONE, Batch, Better, ExampleEvaluator, Metric, Model, Need, Scores

ACCURACY = Metric("contrast_accuracy", ONE, Better.HIGHER, "Share of images still classified right at a lower contrast.", low=0, high=1)


@final
@dataclass(frozen=True)
class Contrast(ExampleEvaluator):
    """Accuracy at lowered contrast."""

    name: ClassVar[str] = "contrast"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (ACCURACY,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    levels: tuple[float, ...] = (0.5, 0.25)

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Right or wrong at each level: images are drawn towards their own mean."""
        mean = batch.images.mean((2, 3), keepdim=True)
        for level in self.levels:
            with torch.inference_mode():
                logits = model(mean + level * (batch.images - mean))
            yield Scores(ACCURACY, logits.cpu().argmax(1) == batch.labels, {"contrast": level})
