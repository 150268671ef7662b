"""Accuracy under the capture conditions of low-end cameras, storage and links, relative to the clean accuracy."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from efficient360.core.figures import Bars, Figure, Gallery, Picture
from efficient360.core.seeding import generators
from efficient360.core.settings import Count, EachOnce, NotEmpty, among
from efficient360.core.statistics import wilson
from efficient360.core.thumbnails import data_uri
from efficient360.evaluator import (
    ONE,
    Batch,
    Better,
    Context,
    ExampleEvaluator,
    Examples,
    Failure,
    Measurement,
    Metric,
    Model,
    Need,
    Outcome,
    Scores,
    ScoreTable,
    Status,
)
from efficient360.methods.inclusiveness.capture_conditions import CONDITIONS
from efficient360.methods.inclusiveness.relative_accuracy import relative_accuracy

CLEAN = Metric("clean_correct", ONE, Better.HIGHER, "Whether the clean image is classified correctly.", low=0, high=1)
ACCURACY = Metric(
    "capture_accuracy",
    ONE,
    Better.HIGHER,
    "Top-1 accuracy under one capture condition.",
    "Hendrycks & Dietterich 2019, section 3",
    low=0,
    high=1,
)
RATIO = Metric(
    "capture_ratio",
    ONE,
    Better.HIGHER,
    "Relative accuracy under one capture condition: accuracy divided by that on the same clean images; 1 when nothing is lost.",
    "relative accuracy, after Hendrycks & Dietterich 2019, section 4.1",
    low=0,
)
MEAN_RATIO = Metric(
    "mean_capture_ratio",
    ONE,
    Better.HIGHER,
    "Relative accuracy, mean over the capture conditions; 1 when nothing is lost.",
    "relative accuracy, after Hendrycks & Dietterich 2019, section 4.1",
    low=0,
)


@final
@dataclass(frozen=True)
class CaptureConditions(ExampleEvaluator):
    """Accuracy at low resolution, in low light, with sensor noise, motion blur and strong JPEG, relative to the accuracy on the same clean images.

    Args:
        conditions: Names: ``half_resolution``, ``quarter_resolution``, ``low_light``, ``sensor_noise``, ``motion_blur``, ``strong_jpeg``.
        images: Size of the stratified subset; 0 for all.
        resamples: Bootstrap resamples behind the intervals of the ratios, at least 99.
        pictures: How many images to show under every condition.
    """

    name: ClassVar[str] = "capture_conditions"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (MEAN_RATIO, RATIO, ACCURACY)
    columns: ClassVar[tuple[Metric, ...]] = (CLEAN,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    drawing_settings: ClassVar[frozenset[str]] = frozenset({"pictures"})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"conditions": ("mean_capture_ratio",), "images": (), "resamples": ()}
    conditions: Annotated[tuple[Annotated[str, among(lambda: CONDITIONS)], ...], NotEmpty, EachOnce] = tuple(CONDITIONS)
    images: Count = 1000
    resamples: Annotated[int, Field(ge=99)] = 1000
    pictures: Count = 1

    def sample_size(self) -> int | None:
        return self.images or None

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Correctness on the clean image and under every condition."""
        labels = batch.labels.cpu()
        yield Scores(CLEAN, model.logits(batch).cpu().argmax(1) == labels)
        for name in self.conditions:
            degraded = CONDITIONS[name].apply(batch.images, generators(name, batch.ids, batch.seed))
            with torch.inference_mode():
                yield Scores(ACCURACY, model(degraded).cpu().argmax(1) == labels, {"capture": name})

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The relative accuracies, with a gallery of the conditions."""
        clean = table.column(CLEAN).astype(bool)
        degraded = np.column_stack([table.column(ACCURACY, {"capture": name}).astype(bool) for name in self.conditions])
        relative = relative_accuracy(clean, degraded, self.resamples, np.random.default_rng([context.seed, 0]))
        if relative is None:
            message = "no clean image is classified correctly, so relative accuracy is undefined"
            yield Failure(Status.UNSUPPORTED, "never-right", message, "see accuracy", MEAN_RATIO)
            return
        n = len(clean)
        figures = (self._bars(clean, degraded), *self._gallery(context.examples))
        yield Measurement(MEAN_RATIO, relative.mean, n, relative.mean_interval, extra=figures)
        for name, ratio, interval in zip(self.conditions, relative.ratios.tolist(), relative.intervals, strict=True):
            yield Measurement(RATIO, ratio, n, interval, {"capture": name})

    def _bars(self, clean: NDArray[np.bool_], degraded: NDArray[np.bool_]) -> Bars:
        columns = [clean, *degraded.T]
        intervals = [wilson(int(column.sum()), len(column)) for column in columns]
        return Bars(
            "Accuracy under capture conditions",
            "capture condition",
            "accuracy",
            ("clean", *(CONDITIONS[name].title for name in self.conditions)),
            tuple(float(column.mean()) for column in columns),
            tuple(i.low for i in intervals),
            tuple(i.high for i in intervals),
        )

    def _gallery(self, examples: Examples) -> Sequence[Figure]:
        pictures = []
        for batch in examples.select(list(examples.ids[: self.pictures])).batches(1):
            pictures.append(Picture(data_uri(batch.images[0]), "clean", batch.ids[0]))
            for name in self.conditions:
                condition = CONDITIONS[name]
                degraded = condition.apply(batch.images, generators(name, batch.ids, batch.seed))
                pictures.append(Picture(data_uri(degraded[0]), condition.title, batch.ids[0]))
        return (Gallery("Capture conditions", tuple(pictures)),) if pictures else ()
