"""The shared pass: clean logits of a split, computed once, kept on disk, handed to every evaluator with its batches."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.batch import Batch
from efficient360.datasets.decoding import ahead
from efficient360.datasets.examples import ExampleSet
from efficient360.errors import CheckpointError
from efficient360.evaluator import Deadline
from efficient360.model import Model
from efficient360.rowlog import RowLog


@final
@dataclass(frozen=True)
class PredictedExamples:
    """Examples whose clean logits are known. Implements :class:`efficient360.evaluator.Examples`.

    Args:
        base: The examples.
        logits: Logits, one row an example of the whole split.
        rows: Rows of ``logits`` that belong to the examples, int64 ``(n,)``.
    """

    base: ExampleSet
    logits: RowLog
    rows: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """As the base's."""
        return self.base.digest

    @property
    def class_names(self) -> Sequence[str]:
        """As the base's."""
        return self.base.class_names

    @property
    def ids(self) -> Sequence[str]:
        """As the base's."""
        return self.base.ids

    @property
    def labels(self) -> NDArray[np.int64]:
        """As the base's."""
        return self.base.labels

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """As the base's."""
        return self.base.groups

    def __len__(self) -> int:
        return len(self.base)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Batches with their clean logits; images still decode on first look."""
        for batch in self.base.batches(size, start):
            rows = self.logits.take(self.rows[start : start + len(batch)])
            start += len(batch)
            yield dataclasses.replace(batch, clean_logits=torch.from_numpy(rows))

    def subset(self, n: int, seed: int) -> "PredictedExamples":
        """A stratified subset, with its logits."""
        return self.select(self.base.subset(n, seed).ids)

    def select(self, ids: Sequence[str]) -> "PredictedExamples":
        """The examples of these ids, with their logits."""
        place = {name: i for i, name in enumerate(self.base.ids)}
        return PredictedExamples(self.base.select(ids), self.logits, self.rows[[place[name] for name in ids]])


def predict(
    model: Model, examples: ExampleSet, log: RowLog, batch_size: int, decoders: int, deadline: Deadline, progress: Callable[[int, int], None]
) -> PredictedExamples:
    """Complete the log of clean logits, going on where an interrupted pass left off.

    A pass resumes at a whole batch, so that batches are cut as in an uninterrupted one.

    Args:
        model: What predicts.
        examples: On what.
        log: Where the logits are kept.
        batch_size: Examples a forward pass.
        decoders: Threads that decode ahead; 0 decodes between forward passes.
        deadline: When to stop.
        progress: Told after every batch.

    Raises:
        CheckpointError: NaN or infinite logits on an example.
        DatasetError: An image that can't be read.
        OutOfTime: From the deadline; what is done is kept.
    """
    log.truncate(len(log) // batch_size * batch_size if len(log) < len(examples) else len(log))
    done = len(log)
    if done < len(examples):
        progress(done, len(examples))
    for batch in ahead(examples.batches(batch_size, done), decoders):
        deadline.check()
        with torch.inference_mode():
            logits = model(batch.images).cpu().numpy()
        _require_finite(logits, batch)
        log.append(logits)
        done += len(batch)
        progress(done, len(examples))
    return PredictedExamples(examples, log, np.arange(len(examples)))


def _require_finite(logits: NDArray[Any], batch: Batch) -> None:
    wrong = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(wrong):
        raise CheckpointError(
            "non-finite-logits", f"the model returned NaN or infinite logits for example {batch.ids[wrong[0]]}", "check the weights and the preprocessing"
        )
