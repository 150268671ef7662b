"""Accuracy on clean images: top-1, top-5, balanced accuracy, per-class recall, and the most confident mistakes."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.figures import Bars, Figure, Gallery, Picture
from efficient360.core.formatting import class_name, count, number
from efficient360.core.settings import AtLeast2, Count
from efficient360.core.statistics import percentiles, wilson
from efficient360.core.thumbnails import data_uri
from efficient360.evaluator import (
    ONE,
    Batch,
    Better,
    Context,
    ExampleEvaluator,
    Examples,
    Failure,
    Interval,
    Measurement,
    Metric,
    Model,
    Need,
    Outcome,
    Scores,
    ScoreTable,
    Status,
)

K = 5
MOST_BARS, FEWER_BARS = 30, 15

TOP1 = Metric("top1", ONE, Better.HIGHER, "Share of images whose most likely class is the true one.", "Russakovsky et al. 2015, section 4.1", low=0, high=1)
TOP5 = Metric(
    "top5", ONE, Better.HIGHER, "Share of images whose true class is among the five most likely.", "Russakovsky et al. 2015, section 4.1", low=0, high=1
)
BALANCED_ACCURACY = Metric(
    "balanced_accuracy",
    ONE,
    Better.HIGHER,
    "Macro-averaged recall: the mean over classes of the share of a class's images that are classified correctly; rare classes weigh as much as common ones.",
    "Brodersen et al. 2010",
    low=0,
    high=1,
)
CONFIDENCE = Metric(
    "confidence", ONE, Better.NEITHER, "Probability given to the predicted class.", "Hendrycks & Gimpel 2017 (maximum softmax probability)", low=0, high=1
)
PREDICTION = Metric("prediction", ONE, Better.NEITHER, "Index of the most likely class; the first of several equally likely ones.", low=0)


@final
@dataclass(frozen=True)
class Accuracy(ExampleEvaluator):
    """Top-1, top-5 and balanced accuracy on clean images, accuracy by class, and the most confident mistakes.

    Equal logits rank by class index, lower first.

    Args:
        mistakes: How many of the most confident mistakes to show as images; 0 keeps images out of the report.
        resamples: Bootstrap resamples for the interval of the balanced accuracy.
    """

    name: ClassVar[str] = "accuracy"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (TOP1, TOP5, BALANCED_ACCURACY)
    columns: ClassVar[tuple[Metric, ...]] = (CONFIDENCE, PREDICTION)
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMPLES, Need.TRAINED})
    drawing_settings: ClassVar[frozenset[str]] = frozenset({"mistakes"})
    settings_scope: ClassVar[Mapping[str, Collection[str]]] = {"resamples": ()}
    mistakes: Count = 12
    resamples: AtLeast2 = 1000

    def score(self, model: Model, batch: Batch) -> Iterator[Scores]:
        """Whether the label ranks first and among the top five, the confidence, and the predicted class."""
        logits, labels = model.logits(batch).cpu().double(), batch.labels.cpu()[:, None]  # (B, K), (B, 1)
        true = logits.gather(1, labels)
        lower_index = torch.arange(logits.shape[1]) < labels
        rank = ((logits > true) | ((logits == true) & lower_index)).sum(1)
        confidence, prediction = logits.softmax(1).amax(1), logits.argmax(1)
        yield Scores(TOP1, rank == 0)
        if logits.shape[1] > K:
            yield Scores(TOP5, rank < K)
        yield Scores(CONFIDENCE, confidence)
        yield Scores(PREDICTION, prediction)

    def finish(self, table: ScoreTable, context: Context[Examples]) -> Iterator[Outcome]:
        """Top-1 with its figures, the balanced accuracy, and a failure for top-5 where there are too few classes."""
        correct = table.column(TOP1)
        recall, n = class_recall(table.labels, correct), len(correct)
        figures = (class_accuracy_figure(recall, context.examples.class_names), *self._mistakes(table, context.examples))
        yield Measurement(TOP1, float(correct.mean()), n, wilson(int(correct.sum()), n), extra=figures)
        yield Measurement(BALANCED_ACCURACY, recall.mean, n, balanced_accuracy_interval(recall, context.seed, self.resamples))
        if table.num_classes <= K:
            yield Failure(
                Status.UNSUPPORTED, "too-few-classes", f"top-5 is trivially 100 % for a model of {table.num_classes} classes", "read top-1 instead", metric=TOP5
            )

    def _mistakes(self, table: ScoreTable, examples: Examples) -> Iterator[Figure]:
        wrong = np.flatnonzero(table.column(TOP1) == 0)
        confidence, prediction = table.column(CONFIDENCE), table.column(PREDICTION).astype(int)
        chosen = wrong[np.argsort(-confidence[wrong], kind="stable")][: self.mistakes]
        if not len(chosen):
            return
        batches = examples.select([table.ids[i] for i in chosen]).batches(1)
        yield Gallery(
            "Most confident mistakes",
            tuple(
                Picture(
                    data_uri(batch.images[0]),
                    f"predicted {class_name(prediction[i], examples.class_names)}, is {class_name(table.labels[i], examples.class_names)}",
                    f"{table.ids[i]}, confidence {number(float(confidence[i]), CONFIDENCE)}",
                )
                for i, batch in zip(chosen, batches, strict=True)
            ),
        )


@final
@dataclass(frozen=True)
class ClassRecall:
    """Recall by class. Classes without examples are left out.

    Args:
        classes: Labels that occur, ascending, int64 ``(C,)``.
        hits: Correct predictions by class, int64 ``(C,)``.
        counts: Examples by class, int64 ``(C,)``, at least 1.
    """

    classes: NDArray[np.int64]
    hits: NDArray[np.int64]
    counts: NDArray[np.int64]

    @property
    def values(self) -> NDArray[np.float64]:
        """Recall by class, float64 ``(C,)`` in [0, 1]."""
        return self.hits / self.counts

    @property
    def mean(self) -> float:
        """Mean of the recalls: macro recall, or balanced accuracy."""
        return float(self.values.mean())


def class_recall(labels: NDArray[np.int64], correct: NDArray[np.floating[Any]]) -> ClassRecall:
    """Recall by class of labels ``(n,)`` and 0/1 values ``(n,)``."""
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    hits = np.bincount(inverse, weights=correct, minlength=len(classes))
    return ClassRecall(classes, hits.astype(np.int64), counts)


def balanced_accuracy_interval(recall: ClassRecall, seed: int, resamples: int) -> Interval:
    """Interval of the balanced accuracy: percentiles of a bootstrap stratified by class (Efron & Tibshirani 1993, section 8).

    Drawing ``n`` 0/1 values with replacement is a binomial draw, so no example is touched. A class with a single example has no spread of its own; such
    classes are drawn from their pooled recall. Where every prediction is correct, or every one incorrect, resampling shows no spread at all: then the
    Wilson interval over the examples is used instead.
    """
    if recall.mean in (0.0, 1.0):
        return wilson(int(recall.hits.sum()), int(recall.counts.sum()))
    rng = np.random.default_rng(seed)
    single = recall.counts == 1
    probability = np.where(single, recall.hits[single].mean() if single.any() else 0.0, recall.values)
    draws = np.array([(rng.binomial(recall.counts, probability) / recall.counts).mean() for _ in range(resamples)])
    return percentiles(draws, "stratified-bootstrap")


def class_accuracy_figure(recall: ClassRecall, names: Sequence[str]) -> Bars:
    """Accuracy of each class with its Wilson interval; where there are more than 30 classes, the 15 lowest in ascending order."""
    if len(recall.classes) <= MOST_BARS:
        shown, title = np.arange(len(recall.classes)), "Accuracy by class"
    else:
        shown = np.argsort(recall.values, kind="stable")[:FEWER_BARS]
        title = f"Accuracy by class: the {FEWER_BARS} lowest of {count(len(recall.classes))}"
    intervals = [wilson(int(recall.hits[i]), int(recall.counts[i])) for i in shown]
    return Bars(
        title,
        "class",
        "accuracy",
        tuple(class_name(recall.classes[i], names) for i in shown),
        tuple(float(recall.values[i]) for i in shown),
        tuple(interval.low for interval in intervals),
        tuple(interval.high for interval in intervals),
    )
