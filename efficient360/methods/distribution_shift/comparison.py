"""What a model answers on a shifted set, beside what it answers on clean images of the same classes."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.statistics import newcombe, newcombe_paired
from efficient360.errors import CheckpointError
from efficient360.evaluator import Context, Examples, Interval, Model
from efficient360.methods.distribution_shift.class_subset import answers
from efficient360.methods.distribution_shift.part import Part
from efficient360.storage.row_log import RowLog

ROWS = 4096
"""Rows of logits held at a time."""

Rights = NDArray[np.bool_]
Classes = tuple[int, ...]


@final
@dataclass(frozen=True)
class Comparison:
    """A model's answers on a shifted set and on clean images.

    Args:
        part: What was run.
        predictions: Class predicted for each shifted image, int64 ``(n,)``.
        confidences: Its probability among the classes of the set, float64 ``(n,)``.
        baseline: Whether each clean image of these classes was answered rightly; where the part is paired, of the same examples in the same order.
    """

    part: Part
    predictions: NDArray[np.int64]
    confidences: NDArray[np.float64]
    baseline: Rights

    @property
    def right(self) -> Rights:
        """Whether each shifted image was answered rightly, ``(n,)``."""
        return np.asarray(self.predictions == self.part.examples.labels)

    def gap(self) -> tuple[float, Interval]:
        """Accuracy on the clean images less accuracy on the shifted ones, with its interval.

        Raises:
            ValueError: There is no clean image of these classes.
        """
        clean, shifted = self.baseline, self.right
        if self.part.paired:
            counts = [int(both.sum()) for both in (clean & shifted, clean & ~shifted, ~clean & shifted, ~clean & ~shifted)]
            interval = newcombe_paired(*counts)
        else:
            interval = newcombe(int(clean.sum()), len(clean), int(shifted.sum()), len(shifted))
        return float(clean.mean() - shifted.mean()), interval


def clean_rights(wanted: Collection[Classes], model: Model, clean: Examples, context: Context) -> dict[Classes, Rights]:
    """Whether each clean example is answered rightly, ``(n,)``, when the model chooses among these classes; for each collection of classes."""
    found: dict[Classes, list[Rights]] = {classes: [] for classes in wanted}
    for batch in clean.batches(context.batch_size) if found else ():
        context.deadline.check()
        logits, labels = model.logits(batch).cpu().numpy(), batch.labels.cpu().numpy()
        for classes, rights in found.items():
            rights.append(answers(logits, classes)[0] == labels)
    return {classes: np.concatenate([np.empty(0, dtype=bool), *rights]) for classes, rights in found.items()}


def compare(part: Part, clean_right: Rights, model: Model, clean: Examples, context: Context, report: Callable[[int], None]) -> Comparison:
    """Run a shifted set, going on where an interrupted run left off, and set it beside the clean images of the same classes.

    Args:
        part: What to run.
        clean_right: Whether each clean example is answered rightly among the classes of the set, ``(n,)``.
        model: What answers.
        clean: The clean examples.
        context: Batch size, deadline and scratch folder.
        report: Told how many are done after every batch.

    Raises:
        CheckpointError: NaN or infinite logits.
        DatasetError: An image that can't be read.
        OutOfTime: From the deadline; what is done is kept.
    """
    log = RowLog(context.scratch / f"{part.shift.name}-{part.examples.digest[:16]}.f32", model.num_classes)
    _complete(log, part, model, context, report)
    n = len(part.examples)
    answered = [answers(log.read(start, min(start + ROWS, n)), part.shift.classes) for start in range(0, n, ROWS)]
    predictions, confidences = (np.concatenate(column) for column in zip(*answered, strict=True))
    return Comparison(part, predictions, confidences, clean_right[_beside(part, clean)])


def _complete(log: RowLog, part: Part, model: Model, context: Context, report: Callable[[int], None]) -> None:
    size, n = context.batch_size, len(part.examples)
    log.truncate(len(log) // size * size if len(log) < n else n)  # resumes at a whole batch, so that batches are cut as in an uninterrupted run
    done = len(log)
    report(done)
    for batch in part.examples.batches(size, done):
        context.deadline.check()
        logits = model.logits(batch).cpu().numpy()
        wrong = np.flatnonzero(~np.isfinite(logits).all(axis=1))
        if len(wrong):
            message = f"the model returned NaN or infinite logits for example {batch.ids[wrong[0]]} of {part.shift.title}"
            raise CheckpointError("non-finite-logits", message, "check the weights and the preprocessing")
        log.append(logits)
        done += len(batch)
        report(done)


def _beside(part: Part, clean: Examples) -> NDArray[np.int64]:
    """Places of the clean examples to compare with: the same ones where paired, else all of the classes that the set covers."""
    if part.paired:
        place = {name: i for i, name in enumerate(clean.ids)}
        return np.array([place[name] for name in part.examples.ids], dtype=np.int64)
    if part.shift.classes:
        return np.flatnonzero(np.isin(clean.labels, part.shift.classes)).astype(np.int64)
    return np.arange(len(clean), dtype=np.int64)
