"""Examples in memory whose answers are known, and a model that gives them."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from efficient360.core.batch import Batch
from efficient360.core.measurement import Outcome
from efficient360.evaluator import Context, Deadline
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import Model


@dataclass(frozen=True)
class Known(Model):
    """A model whose logits are known beforehand; on images it answers with their mean brightness as the class."""

    classes: int

    @property
    def num_classes(self) -> int:
        return self.classes

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 8, 8)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        said = (images.mean((1, 2, 3)) * 255).round().long().clamp(0, self.classes - 1)
        return torch.nn.functional.one_hot(said, self.classes).float()


@dataclass(frozen=True)
class Listed:
    """Examples in memory; the image of the i-th is filled with ``shades[i]`` / 255."""

    logits: torch.Tensor
    labels: np.ndarray
    shades: np.ndarray
    class_names: Sequence[str]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    digest: str = ""

    @property
    def ids(self) -> list[str]:
        return [f"test/{i}" for i in range(len(self))]

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        for first in range(start, len(self), size):
            part = slice(first, first + size)
            images = torch.from_numpy(self.shades[part]).float()[:, None, None, None].expand(-1, 3, 8, 8).contiguous() / 255
            groups = {name: tuple(values[part]) for name, values in self.groups.items()}
            labels = torch.from_numpy(self.labels[part])
            yield Batch(tuple(self.ids[part]), labels, partial(torch.Tensor.clone, images), 0, groups, self.logits[part])

    def subset(self, n: int, seed: int) -> "Listed":
        raise NotImplementedError

    def select(self, ids: Sequence[str]) -> "Listed":
        chosen = [int(name.removeprefix("test/")) for name in ids]
        groups = {name: [values[i] for i in chosen] for name, values in self.groups.items()}
        return replace(self, logits=self.logits[chosen], labels=self.labels[chosen], shades=self.shades[chosen], groups=groups)


def listed(logits: np.ndarray, labels: np.ndarray, groups: Mapping[str, Sequence[str]] | None = None, shades: np.ndarray | None = None) -> Listed:
    shades = np.zeros(len(labels)) if shades is None else shades
    names = [f"class {i}" for i in range(logits.shape[1])]
    return Listed(torch.from_numpy(logits.astype(np.float32)), labels.astype(np.int64), shades, names, groups or {})


def context_of(examples: Listed | None, scratch: Path, batch_size: int = 64, seed: int = 0) -> Context[Any]:
    checkpoint = Checkpoint(CheckpointSpec("x"), "x", "x", {}, Origin.FILE, None, "", Preprocessing((3, 8, 8), (0, 0, 0), (1, 1, 1)), 10)
    return Context(checkpoint, examples, None, seed, batch_size, Deadline(), scratch)


def run(evaluator: Any, examples: Listed, seed: int = 0) -> list[Outcome]:
    model = Known(examples.logits.shape[1])
    with tempfile.TemporaryDirectory() as scratch:
        context = context_of(examples, Path(scratch), seed=seed)
        return outcomes_of(evaluator, model, score_all(evaluator, model, examples, context, context.progress), context)


def logits_of(predicted: np.ndarray, classes: int, confidence: float = 0.9) -> np.ndarray:
    """Logits whose prediction and confidence are these."""
    odds = np.log(confidence / ((1 - confidence) / (classes - 1)))
    return np.eye(classes)[predicted] * odds


def planted(accuracy: Sequence[float], sizes: Sequence[int], classes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels, predictions and groups ``a``, ``b`` … in which each group's answers are right with its own probability."""
    codes = np.repeat(np.arange(len(sizes)), sizes)
    labels = rng.integers(0, classes, len(codes))
    right = rng.random(len(codes)) < np.asarray(accuracy)[codes]
    predicted = np.where(right, labels, (labels + rng.integers(1, classes, len(codes))) % classes)
    return labels, predicted, ["abcdefghij"[code] for code in codes]


def found(outcomes: Sequence[Outcome], metric: str, **conditions: Any) -> Any:
    """The one outcome of a metric that carries these conditions."""
    (one,) = [o for o in outcomes if o.metric is not None and o.metric.name == metric and conditions.items() <= o.conditions.items()]
    return one
