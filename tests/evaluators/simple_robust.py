"""Linear models, examples around mid-grey, and a run of an evaluator over them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from efficient360.core.batch import Batch
from efficient360.core.measurement import Outcome
from efficient360.evaluator import Context, Deadline, ExampleEvaluator
from efficient360.execution.contract import checked
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import PixelsToLogits, TorchModel

SIZE, CLASSES = (3, 4, 4), 5


class Rounded(nn.Module):
    """Rounds pixels to a few levels: no gradient passes."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, images: Tensor) -> Tensor:
        return torch.round(images * self.levels) / self.levels


def linear_model(seed: int = 0, levels: int = 0) -> TorchModel:
    """A linear model whose logits are all 0 at mid-grey; behind a rounding where ``levels`` are given."""
    layer = nn.Linear(48, CLASSES)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(CLASSES, 48, generator=torch.Generator().manual_seed(seed)))
        layer.bias.copy_(-0.5 * layer.weight.sum(1))
    network = nn.Sequential(*([Rounded(levels)] if levels else []), nn.Flatten(), layer)
    return TorchModel(PixelsToLogits(network, [0.0] * 3, [1.0] * 3, None).eval().requires_grad_(False), SIZE, CLASSES)


def examples_of(model: TorchModel, n: int, wrong: int = 0) -> tuple[Tensor, Tensor]:
    """Images around mid-grey, labelled as the model sees them but for the first ``wrong``."""
    images = 0.5 + 0.08 * torch.randn((n, *SIZE), generator=torch.Generator().manual_seed(1)).clamp(-3, 3)
    labels = model(images).argmax(1)
    labels[:wrong] = (labels[:wrong] + 1) % CLASSES
    return images, labels


def exact_radii(model: TorchModel, images: Tensor, labels: Tensor, dual: float) -> Tensor:
    """Distance to the nearest wrong answer, 0 for a wrong one, float64 ``(n,)``: the least margin over the dual norm of the weights' difference."""
    weight, logits = model.network[-1].weight.double(), model(images).double()
    margins = logits.gather(1, labels[:, None]) - logits
    lengths = (weight[labels][:, None, :] - weight[None]).norm(p=dual, dim=2).clamp(min=1e-12)
    return (margins / lengths).scatter(1, labels[:, None], float("inf")).amin(1).clamp(min=0)


@dataclass(frozen=True)
class Held:
    """Examples in memory."""

    images: Tensor
    labels: np.ndarray
    logits: Tensor
    places: Sequence[int]
    digest: str = ""
    groups: dict[str, list[str]] = field(default_factory=dict)
    class_names: Sequence[str] = tuple(f"class {i}" for i in range(10))

    @property
    def ids(self) -> list[str]:
        return [f"x{i}" for i in self.places]

    def __len__(self) -> int:
        return len(self.places)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        for first in range(start, len(self), size):
            part = list(self.places[first : first + size])
            labels = torch.from_numpy(self.labels[first : first + size])
            yield Batch(tuple(f"x{i}" for i in part), labels, partial(self.images.__getitem__, part), 0, {}, self.logits[part])

    def select(self, ids: Sequence[str]) -> "Held":
        rows = [self.ids.index(name) for name in ids]
        return Held(self.images, self.labels[rows], self.logits, [self.places[i] for i in rows])

    def subset(self, n: int, _seed: int) -> "Held":
        return self.select(self.ids[:n])


def measured(
    evaluator: ExampleEvaluator, model: TorchModel, images: Tensor, labels: Tensor, folder: Path, batch_size: int = 64
) -> dict[tuple[str, str, str, str], Outcome]:
    """Outcomes by metric, norm, ε and attack."""
    folder.mkdir(exist_ok=True)
    with torch.no_grad():
        held = Held(images, labels.numpy(), model(images), range(len(images)))
    checkpoint = Checkpoint(CheckpointSpec("x"), "x", "x", {}, Origin.FILE, None, "", Preprocessing(model.size, (0, 0, 0), (1, 1, 1)), model.classes)
    context = Context(checkpoint, held, None, 0, batch_size, Deadline(), folder)
    outcomes: Any = checked(evaluator, outcomes_of(evaluator, model, score_all(evaluator, model, held, context, context.progress), context))
    return {(o.metric.name, *(str(o.conditions.get(key, "")) for key in ("norm", "epsilon", "attack"))): o for o in outcomes}
