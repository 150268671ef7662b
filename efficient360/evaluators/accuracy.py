"""Accuracy on clean images: how often it is right, over all examples, class by class, and where it is surely wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch

from efficient360.core.figures import Bars, Figure, Gallery, Picture
from efficient360.core.formatting import class_name, count, number
from efficient360.core.statistics import wilson
from efficient360.core.thumbnails import data_uri
from efficient360.errors import SettingsError
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
    Unsupported,
)
from efficient360.methods.fairness.class_recall import Recalls, balanced_interval, recalls

K = 5
MOST_BARS, FEWER_BARS = 30, 15

TOP1 = Metric("top1", ONE, Better.HIGHER, "Share of images whose most likely class is the right one.", "Russakovsky et al. 2015, section 4.1", low=0, high=1)
TOP5 = Metric(
    "top5", ONE, Better.HIGHER, "Share of images whose right class is among the five most likely.", "Russakovsky et al. 2015, section 4.1", low=0, high=1
)
BALANCED_ACCURACY = Metric(
    "balanced_accuracy",
    ONE,
    Better.HIGHER,
    "Mean over the classes of the share of a class's images that are named rightly: every class counts the same, however rare.",
    "Brodersen et al. 2010",
    low=0,
    high=1,
)
CONFIDENCE = Metric(
    "confidence", ONE, Better.NEITHER, "Probability given to the predicted class.", "Hendrycks & Gimpel 2017 (maximum softmax probability)", low=0, high=1
)
PREDICTION = Metric("prediction", ONE, Better.NEITHER, "Index of the most likely class; of equally likely ones, the first.", low=0)


@final
@dataclass(frozen=True)
class Accuracy(ExampleEvaluator):
    """Top-1, top-5 and balanced accuracy on clean images, accuracy by class, and the hardest mistakes.

    Equal logits rank by class index, lower first.

    Args:
        mistakes: How many of the most confident mistakes to show as pictures; 0 keeps the images out of the report.
        resamples: Resamples behind the interval of the balanced accuracy, at least 2.
    """

    name: ClassVar[str] = "accuracy"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (TOP1, TOP5, BALANCED_ACCURACY)
    columns: ClassVar[tuple[Metric, ...]] = (CONFIDENCE, PREDICTION)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    mistakes: int = 12
    resamples: int = 1000

    def __post_init__(self) -> None:
        if self.mistakes < 0:
            raise SettingsError("bad-setting", f"the setting mistakes of accuracy is {self.mistakes}", "give 0 or more; 12 is usual")
        if self.resamples < 2:
            raise SettingsError("bad-setting", f"the setting resamples of accuracy is {self.resamples}", "give at least 2 resamples; 1000 is usual")

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Whether the label ranks first and among the first five, the confidence, and the prediction."""
        logits, labels = model.logits(batch).cpu().double(), batch.labels.cpu()[:, None]  # (B, K), (B, 1)
        true = logits.gather(1, labels)
        earlier = torch.arange(logits.shape[1]) < labels
        rank = ((logits > true) | ((logits == true) & earlier)).sum(1)
        confidence, prediction = logits.softmax(1).amax(1), logits.argmax(1)
        yield Scores(TOP1, rank == 0)
        if logits.shape[1] > K:
            yield Scores(TOP5, rank < K)
        yield Scores(CONFIDENCE, confidence)
        yield Scores(PREDICTION, prediction)

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Top-1 with its figures, the balanced accuracy, and why there is no top-5 where there is none."""
        if context.examples is None:
            raise Unsupported("no-examples", "accuracy was given no examples", "name a data set with --dataset")
        correct = table.column(TOP1)
        by_class, n = recalls(table.labels, correct), len(correct)
        figures = (by_class_figure(by_class, context.examples.class_names), *self._hardest(table, context.examples))
        yield Measurement(TOP1, float(correct.mean()), n, wilson(int(correct.sum()), n), extra=figures)
        yield Measurement(BALANCED_ACCURACY, by_class.balanced, n, balanced_interval(by_class, context.seed, self.resamples))
        if table.num_classes <= K:
            yield Failure(
                Status.UNSUPPORTED, "too-few-classes", f"top-5 says nothing about a model of {table.num_classes} classes", "read top-1 instead", metric=TOP5
            )

    def _hardest(self, table: ScoreTable, examples: Examples) -> Iterator[Figure]:
        wrong = np.flatnonzero(table.column(TOP1) == 0)
        confidence, prediction = table.column(CONFIDENCE), table.column(PREDICTION).astype(int)
        chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][: self.mistakes]
        if not len(chosen):
            return
        batches = examples.select([table.ids[i] for i in chosen]).batches(1)
        yield Gallery(
            "Hardest mistakes",
            tuple(
                Picture(
                    data_uri(batch.images[0]),
                    f"predicted {class_name(prediction[i], examples.class_names)}, is {class_name(table.labels[i], examples.class_names)}",
                    f"{table.ids[i]}, confidence {number(float(confidence[i]), CONFIDENCE)}",
                )
                for i, batch in zip(chosen, batches, strict=True)
            ),
        )


def by_class_figure(of: Recalls, names: Sequence[str]) -> Bars:
    """Accuracy of each class with its Wilson interval; of more than 30 classes, the 15 lowest, lowest first."""
    if len(of.classes) <= MOST_BARS:
        shown, title = np.arange(len(of.classes)), "Accuracy by class"
    else:
        shown = np.argsort(of.values, kind="stable")[:FEWER_BARS]
        title = f"Accuracy by class: the {FEWER_BARS} lowest of {count(len(of.classes))}"
    intervals = [wilson(int(of.hits[i]), int(of.counts[i])) for i in shown]
    return Bars(
        title,
        "class",
        "accuracy",
        tuple(class_name(of.classes[i], names) for i in shown),
        tuple(float(of.values[i]) for i in shown),
        tuple(i.low for i in intervals),
        tuple(i.high for i in intervals),
    )
