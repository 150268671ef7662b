"""Whether it still works on what poorer cameras, storage and links hand over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.figures import Bars, Figure, Gallery, Picture
from efficient360.core.seeding import generators
from efficient360.core.statistics import wilson
from efficient360.core.thumbnails import data_uri
from efficient360.errors import SettingsError, Unsupported
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
from efficient360.methods.inclusiveness.catalogue import CONDITIONS
from efficient360.methods.inclusiveness.kept_accuracy import kept

CLEAN = Metric("clean_correct", ONE, Better.HIGHER, "Whether the clean image is answered rightly.", low=0, high=1)
ACCURACY = Metric(
    "capture_accuracy",
    ONE,
    Better.HIGHER,
    "Share of images answered rightly under one capture condition.",
    "Hendrycks & Dietterich 2019, section 3",
    low=0,
    high=1,
)
RATIO = Metric(
    "capture_ratio",
    ONE,
    Better.HIGHER,
    "Accuracy under one capture condition over the accuracy on the same images clean; 1 when nothing is lost.",
    "relative accuracy, after Hendrycks & Dietterich 2019, section 4.1",
    low=0,
)
MEAN_RATIO = Metric(
    "mean_capture_ratio",
    ONE,
    Better.HIGHER,
    "Mean over the capture conditions of the share of the clean accuracy that is kept; 1 when nothing is lost.",
    "relative accuracy, after Hendrycks & Dietterich 2019, section 4.1",
    low=0,
)


@final
@dataclass(frozen=True)
class CaptureConditions(ExampleEvaluator):
    """Accuracy at low resolution, in low light, with sensor noise, motion blur and strong JPEG, as a share of the accuracy on the same images clean.

    Args:
        conditions: Which: ``half_resolution``, ``quarter_resolution``, ``low_light``, ``sensor_noise``, ``motion_blur``, ``strong_jpeg``.
        images: How many images to take, shared out over the classes; 0 takes all.
        resamples: Draws behind the intervals of the ratios.
        pictures: How many images to show under every condition.
    """

    name: ClassVar[str] = "capture_conditions"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (MEAN_RATIO, RATIO, ACCURACY)
    columns: ClassVar[tuple[Metric, ...]] = (CLEAN,)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    conditions: tuple[str, ...] = tuple(CONDITIONS)
    images: int = 1000
    resamples: int = 1000
    pictures: int = 1

    def __post_init__(self) -> None:
        for name in self.conditions:
            if name not in CONDITIONS:
                raise SettingsError("bad-setting", f"the setting conditions of capture_conditions names {name!r}", f"choose among {', '.join(CONDITIONS)}")
        if not self.conditions or len(set(self.conditions)) < len(self.conditions):
            hint = "name at least one condition, and each once"
            raise SettingsError("bad-setting", f"the setting conditions of capture_conditions is {list(self.conditions)}", hint)
        for name, lowest in (("images", 0), ("resamples", 99), ("pictures", 0)):
            if (value := getattr(self, name)) < lowest:
                raise SettingsError("bad-setting", f"the setting {name} of capture_conditions is {value}", f"give at least {lowest}")

    def sample_size(self) -> int | None:
        return self.images or None

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Right or wrong on the clean image and under every condition."""
        labels = batch.labels.cpu()
        yield Scores(CLEAN, model.logits(batch).cpu().argmax(1) == labels)
        for name in self.conditions:
            degraded = CONDITIONS[name].apply(batch.images, generators(name, batch.ids, batch.seed))
            with torch.inference_mode():
                yield Scores(ACCURACY, model(degraded).cpu().argmax(1) == labels, {"capture": name})

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """The share of the clean accuracy that is kept, with the pictures."""
        if context.examples is None:
            raise Unsupported("no-examples", "capture_conditions was given no examples", "name a data set with --dataset")
        clean = table.column(CLEAN).astype(bool)
        degraded = np.column_stack([table.column(ACCURACY, {"capture": name}).astype(bool) for name in self.conditions])
        found = kept(clean, degraded, self.resamples, np.random.default_rng([context.seed, 0]))
        if found is None:
            message = "no clean image is answered rightly, so nothing can be kept"
            yield Failure(Status.UNSUPPORTED, "never-right", message, "see accuracy", MEAN_RATIO)
            return
        n = len(clean)
        shown = (self._bars(clean, degraded), *self._gallery(context.examples))
        yield Measurement(MEAN_RATIO, found.mean, n, found.mean_interval, extra=shown)
        for name, ratio, interval in zip(self.conditions, found.ratios.tolist(), found.intervals, strict=True):
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
