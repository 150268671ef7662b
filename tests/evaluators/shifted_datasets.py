"""Data sets of uniform images with shifted versions, and a model that classifies them by brightness."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image as Pillow

from datasets import Dataset, Features, Image, Value
from efficient360.core.measurement import Outcome
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.evaluator import Context, Deadline
from efficient360.evaluators.natural_shift import NaturalShift
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.model import Model

STEP = 20
"""An image filled with 20 · c is classified as c, or as the nearest candidate class."""
TEN = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", Preprocessing((3, 8, 8), (0.5,) * 3, (0.5,) * 3), 10)


@dataclass(frozen=True)
class BrightnessModel(Model):
    """Classifies an image by its brightness, and records which it was shown."""

    shown: list[int] = field(default_factory=list)
    broken_at: int = 256

    @property
    def num_classes(self) -> int:
        return 10

    @property
    def input_size(self) -> tuple[int, int, int]:
        return (3, 8, 8)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        brightness = images.mean((1, 2, 3)) * 255
        self.shown.extend(brightness.round().int().tolist())
        logits = -((brightness[:, None] - STEP * torch.arange(10.0)) / STEP).square()
        return torch.where(brightness[:, None] > self.broken_at, torch.nan, logits)


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(np.full((8, 8, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def parquet(path: Path, images: Sequence[bytes], labels: Sequence[int | str], ids: Sequence[str] = ()) -> str:
    rows: dict = {"image": [{"bytes": image, "path": None} for image in images], "label": list(labels)}
    features = {"image": Image(decode=False), "label": Value("string" if isinstance(labels[0], str) else "int64")}
    if ids:
        rows, features = rows | {"id": list(ids)}, features | {"id": Value("string")}
    Dataset.from_dict(rows, features=Features(features)).to_parquet(path)
    return str(path)


class ShiftedDataset:
    """A data set of bright and dark images with shifted versions, described by a card; ``clean`` and ``add`` take what is predicted, and the labels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card: dict = {"name": "made", "title": "Made", "splits": {"test": "test"}, "classes": 10, "shifts": []}

    def clean(self, predicted: Sequence[int], labels: Sequence[int], ids: Sequence[str] = ()) -> "ShiftedDataset":
        files = parquet(self.folder / "clean.parquet", [png(STEP * p) for p in predicted], labels, ids)
        self.card["source"] = {"kind": "parquet", "location": files}
        return self

    def add(self, name: str, predicted: Sequence[int], truth: Sequence, ids: Sequence[str] = (), **entry: Any) -> "ShiftedDataset":
        files = parquet(self.folder / f"{name}.parquet", [png(STEP * p) for p in predicted], truth, ids)
        return self.entry(name, files, **entry)

    def entry(self, name: str, files: str, **entry: Any) -> "ShiftedDataset":
        self.card["shifts"].append({"name": name, "title": name.title(), "source": {"kind": "parquet", "location": files}, **entry})
        return self

    def spec(self, **changes: Any) -> DatasetSpec:
        path = self.folder / "made.yaml"
        path.write_text(yaml.safe_dump(self.card))
        return DatasetSpec(str(path), **changes)

    def context(self, scratch: Path, batch_size: int = 4, **changes: Any) -> Context:
        data = open_dataset(self.spec(**changes), TEN, 0)
        scratch.mkdir(exist_ok=True)
        return Context(TEN, data.examples, None, 0, batch_size, Deadline(), scratch, shifts=data.shifts)


OutcomesByShift = dict[tuple[str, str], Outcome]


def by_metric_and_shift(outcomes: Sequence[Outcome]) -> OutcomesByShift:
    return {(o.metric.name if o.metric else "all", str(o.conditions.get("shift", ""))): o for o in outcomes}


def run(dataset: ShiftedDataset, evaluator: NaturalShift | None = None, model: Model | None = None, **changes: Any) -> OutcomesByShift:
    context = dataset.context(dataset.folder / "scratch", **changes)
    return by_metric_and_shift(run_in(context, evaluator, model))


def run_in(context: Context[Any], evaluator: NaturalShift | None = None, model: Model | None = None) -> list[Outcome]:
    evaluator, model = evaluator or NaturalShift(), model or BrightnessModel()
    table = score_all(evaluator, model, context.examples, context, context.progress)
    return outcomes_of(evaluator, model, table, context)


def with_three_shifts(folder: Path) -> ShiftedDataset:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 30)
    near = lambda: np.clip(labels + rng.integers(-1, 2, 30), 0, 10)  # noqa: E731
    dataset = ShiftedDataset(folder).clean(near(), labels.tolist(), [str(i) for i in range(30)])
    dataset.add("fog", near(), labels.tolist(), [str(i) for i in range(30)]).add("rain", near(), labels.tolist())
    return dataset.add("few", near(), (labels % 3).tolist(), classes=[2, 5, 8])
