"""Accuracy on a shifted test set, compared with the accuracy on clean images of the same classes."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.paths import file_name
from efficient360.core.statistics import newcombe, newcombe_paired
from efficient360.errors import CheckpointError
from efficient360.evaluator import Context, Examples, Interval, Model, ShiftedSet
from efficient360.storage.row_log import RowLog

CHUNK_ROWS = 4096
"""Rows of logits held at a time."""

BoolArray = NDArray[np.bool_]
ClassSubset = tuple[int, ...]
"""Ascending class indices that predictions are restricted to; empty for all classes."""


@final
@dataclass(frozen=True)
class ShiftSample:
    """The evaluated examples of a shifted set.

    Args:
        shift: The set.
        examples: The examples drawn from it.
        paired: Whether each is a version of the clean example of the same id.
    """

    shift: ShiftedSet
    examples: Examples
    paired: bool


def draw_sample(shift: ShiftedSet, clean: Examples, limit: int, seed: int) -> ShiftSample:
    """A stratified, seeded sample of a shifted set; if it has versions of clean examples, only of those that are evaluated.

    Args:
        shift: The set, which this opens.
        clean: The evaluated examples.
        limit: Most examples to draw.
        seed: Of the sampling.

    Raises:
        DatasetError: The set is not available.
    """
    opened = shift.open()
    shared = shared_ids(clean, opened)
    candidates = opened.select(shared) if shared else opened
    return ShiftSample(shift, candidates.subset(limit, seed), bool(shared))


def shared_ids(clean: Examples, shifted: Examples) -> list[str]:
    """Ids of the examples on both sides, in the order of the shifted ones; none unless the two clearly are versions of one another.

    They are if at least half of the smaller side's ids occur on the other and every one of these has the same label on both: running numbers that
    both happen to use as ids do not meet that.
    """
    labels = dict(zip(clean.ids, clean.labels.tolist(), strict=True))
    shared = [(name, label) for name, label in zip(shifted.ids, shifted.labels.tolist(), strict=True) if name in labels]
    if 2 * len(shared) < min(len(clean), len(shifted)) or any(labels[name] != label for name, label in shared):
        return []
    return [name for name, _ in shared]


def predict_among(logits: NDArray[Any], classes: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The most likely class among ``classes`` and its probability among them; all other logits are ignored.

    That is how the authors of ImageNet-A (Hendrycks et al. 2021, "Natural Adversarial Examples", CVPR) and ImageNet-R (Hendrycks et al. 2021, "The Many Faces
    of Robustness", ICCV) score a model of 1000 classes on their 200, and on the clean images of these.

    Args:
        logits: ``(n, K)``.
        classes: Ascending indices of columns; empty for all.

    Returns:
        Predicted classes int64 ``(n,)``, the lowest of equally likely ones, and probabilities float64 ``(n,)``.
    """
    columns = np.asarray(classes, dtype=np.int64) if len(classes) else np.arange(logits.shape[1])
    chosen = logits[:, columns].astype(np.float64)
    top = chosen.argmax(axis=1)
    odds = np.exp(chosen - chosen.max(axis=1, keepdims=True))
    return columns[top], 1.0 / odds.sum(axis=1)


@final
@dataclass(frozen=True)
class ShiftComparison:
    """A model's predictions on a shifted set and its correctness on clean images.

    Args:
        sample: The shifted examples.
        predictions: Predicted class of each shifted image, int64 ``(n,)``.
        confidences: Its probability among the classes of the set, float64 ``(n,)``.
        clean_correct: Whether each clean image of these classes is classified correctly; where the sample is paired, of the same examples in the same order.
    """

    sample: ShiftSample
    predictions: NDArray[np.int64]
    confidences: NDArray[np.float64]
    clean_correct: BoolArray

    @property
    def shifted_correct(self) -> BoolArray:
        """Whether each shifted image is classified correctly, ``(n,)``."""
        return np.asarray(self.predictions == self.sample.examples.labels)

    def gap(self) -> tuple[float, Interval]:
        """Accuracy on the clean images less accuracy on the shifted ones, with its interval.

        Raises:
            ValueError: There is no clean image of these classes.
        """
        clean, shifted = self.clean_correct, self.shifted_correct
        if self.sample.paired:
            counts = [int(both.sum()) for both in (clean & shifted, clean & ~shifted, ~clean & shifted, ~clean & ~shifted)]
            interval = newcombe_paired(*counts)
        else:
            interval = newcombe(int(clean.sum()), len(clean), int(shifted.sum()), len(shifted))
        return float(clean.mean() - shifted.mean()), interval


def clean_correctness(subsets: Collection[ClassSubset], model: Model, clean: Examples, context: Context) -> dict[ClassSubset, BoolArray]:
    """Whether each clean example is classified correctly among the classes of each subset, ``(n,)`` by subset."""
    batches: dict[ClassSubset, list[BoolArray]] = {classes: [] for classes in subsets}
    for batch in clean.batches(context.batch_size) if batches else ():
        context.deadline.check()
        logits, labels = model.logits(batch).cpu().numpy(), batch.labels.cpu().numpy()
        for classes, correct in batches.items():
            correct.append(predict_among(logits, classes)[0] == labels)
    return {classes: np.concatenate([np.empty(0, dtype=bool), *correct]) for classes, correct in batches.items()}


def compare_with_clean(
    sample: ShiftSample, clean_correct: BoolArray, model: Model, clean: Examples, context: Context, on_progress: Callable[[int], None]
) -> ShiftComparison:
    """Run the model on a shifted sample, resuming an interrupted run, and compare it with the clean images of the same classes.

    Args:
        sample: What to run.
        clean_correct: Whether each clean example is classified correctly among the classes of the set, ``(n,)``.
        model: The model.
        clean: The clean examples.
        context: Batch size, deadline and scratch folder.
        on_progress: Called with the number of finished examples after every batch.

    Raises:
        CheckpointError: NaN or infinite logits.
        DatasetError: An image can't be read.
        OutOfTime: From the deadline; finished batches are kept.
    """
    log = RowLog(context.scratch / f"{file_name(sample.shift.name)}-{sample.examples.digest[:16]}.f32", model.num_classes)
    _log_logits(log, sample, model, context, on_progress)
    n = len(sample.examples)
    chunks = [predict_among(log.read(start, min(start + CHUNK_ROWS, n)), sample.shift.classes) for start in range(0, n, CHUNK_ROWS)]
    predictions, confidences = (np.concatenate(column) for column in zip(*chunks, strict=True))
    return ShiftComparison(sample, predictions, confidences, clean_correct[_matching_clean(sample, clean)])


def _log_logits(log: RowLog, sample: ShiftSample, model: Model, context: Context, on_progress: Callable[[int], None]) -> None:
    size, n = context.batch_size, len(sample.examples)
    log.truncate(len(log) // size * size if len(log) < n else n)  # resumes at a whole batch, so that batches are the same as in an uninterrupted run
    done = len(log)
    on_progress(done)
    for batch in sample.examples.batches(size, done):
        context.deadline.check()
        logits = model.logits(batch).cpu().numpy()
        bad_rows = np.flatnonzero(~np.isfinite(logits).all(axis=1))
        if len(bad_rows):
            message = f"the model returned NaN or infinite logits for example {batch.ids[bad_rows[0]]} of {sample.shift.title}"
            raise CheckpointError("non-finite-logits", message, "check the weights and the preprocessing")
        log.append(logits)
        done += len(batch)
        on_progress(done)


def _matching_clean(sample: ShiftSample, clean: Examples) -> NDArray[np.int64]:
    """Positions of the clean examples to compare with: the same ones where paired, else all of the classes that the set covers."""
    if sample.paired:
        position = {name: i for i, name in enumerate(clean.ids)}
        return np.array([position[name] for name in sample.examples.ids], dtype=np.int64)
    if sample.shift.classes:
        return np.flatnonzero(np.isin(clean.labels, sample.shift.classes)).astype(np.int64)
    return np.arange(len(clean), dtype=np.int64)
