"""The shared pass: clean logits and features of examples, computed once, kept on disk, handed to every evaluator with its batches."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.images import ahead, decoders_for
from efficient360.errors import CheckpointError
from efficient360.evaluator import Deadline, Examples
from efficient360.execution.cache_key import digest, identity_of, split_identity
from efficient360.execution.events import Progress
from efficient360.execution.session import Session
from efficient360.models.model import Model, TorchModel
from efficient360.storage.row_log import RowLog


@final
@dataclass(frozen=True)
class PredictedExamples:
    """Examples whose clean logits are known. Implements :class:`efficient360.evaluator.Examples`.

    Args:
        base: The examples.
        logits: Logits, one row an example of the whole pass.
        features: Features before the classifier, likewise; ``None`` where the model offers none.
        rows: Rows of both that belong to the examples, int64 ``(n,)``.
    """

    base: ExampleSet
    logits: RowLog
    features: RowLog | None
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
        """Batches with their clean logits and features; images still decode on first look."""
        for batch in self.base.batches(size, start):
            rows = self.rows[start : start + len(batch)]
            start += len(batch)
            logits = torch.from_numpy(self.logits.take(rows))
            features = None if self.features is None else torch.from_numpy(self.features.take(rows))
            yield dataclasses.replace(batch, clean_logits=logits, clean_features=features)

    def subset(self, n: int, seed: int) -> "PredictedExamples":
        """A stratified subset, with what is known of it."""
        return self.select(self.base.subset(n, seed).ids)

    def select(self, ids: Sequence[str]) -> "PredictedExamples":
        """The examples of these ids, with what is known of them."""
        place = {name: i for i, name in enumerate(self.base.ids)}
        return PredictedExamples(self.base.select(ids), self.logits, self.features, self.rows[[place[name] for name in ids]])


def predict(
    model: Model, examples: ExampleSet, folder: Path, batch_size: int, decoders: int, deadline: Deadline, progress: Callable[[int, int], None]
) -> PredictedExamples:
    """Complete the logs of clean logits and features, going on where an interrupted pass left off.

    A pass resumes at a whole batch, so that batches are cut as in an uninterrupted one.

    Args:
        model: What predicts.
        examples: On what.
        folder: Where the logs are kept; it exists.
        batch_size: Examples a forward pass.
        decoders: Threads that decode ahead; 0 decodes between forward passes.
        deadline: When to stop.
        progress: Told after every batch.

    Raises:
        CheckpointError: NaN or infinite logits on an example.
        DatasetError: An image that can't be read.
        OutOfTime: From the deadline; what is done is kept.
    """
    logs = _logs(model, folder)
    done = min(len(log) for log in logs)
    done = done if done >= len(examples) else done // batch_size * batch_size
    for log in logs:
        log.truncate(done)
    if done < len(examples):
        progress(done, len(examples))
    for batch in ahead(examples.batches(batch_size, done), decoders):
        deadline.check()
        rows = [row.cpu().numpy() for row in _passed(model, batch.images)]
        _require_finite(rows[0], batch)
        for log, row in zip(logs, rows, strict=True):
            log.append(row)
        done += len(batch)
        progress(done, len(examples))
    return PredictedExamples(examples, logs[0], logs[1] if len(logs) > 1 else None, np.arange(len(examples)))


def _logs(model: Model, folder: Path) -> list[RowLog]:
    """The log of logits and, where the model offers them, that of features."""
    width = _feature_width(model)
    return [RowLog(folder / "logits.f32", model.num_classes), *([] if width is None else [RowLog(folder / "features.f32", width)])]


def _passed(model: Model, images: Tensor) -> list[Tensor]:
    """Logits and, where the model offers them, features."""
    with torch.inference_mode():
        if not isinstance(model, TorchModel):
            return [model(images)]
        return [output for output in model.logits_and_features(images) if output is not None]


def _feature_width(model: Model) -> int | None:
    """``D``, found on a black image; ``None`` where the model offers no features."""
    outputs = _passed(model, torch.zeros(1, *model.input_size))
    return outputs[1].shape[1] if len(outputs) > 1 else None


def _require_finite(logits: NDArray[Any], batch: Batch) -> None:
    wrong = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(wrong):
        raise CheckpointError(
            "non-finite-logits", f"the model returned NaN or infinite logits for example {batch.ids[wrong[0]]}", "check the weights and the preprocessing"
        )


def shared(session: Session, examples: Examples) -> Examples:
    """The same examples with their clean logits and, where the model offers them, features.

    Args:
        session: The run.
        examples: A split, or part of one, as an evaluator's context gave it.

    Raises:
        TypeError: Examples that are not from a context.
        CheckpointError: NaN or infinite logits on an example.
        OutOfTime: From the deadline; what is done is kept.
    """
    if isinstance(examples, PredictedExamples):
        return examples
    if not isinstance(examples, ExampleSet):
        raise TypeError(f"{type(examples).__name__} is no split that a context gave")
    plan = session.plan
    folder = _folder(session, examples)
    on_progress = lambda done, total: session.emit(Progress("clean predictions", done, total))  # noqa: E731
    return predict(session.model, examples, folder, plan.batch_size, decoders_for(plan.device), session.deadline, on_progress)


def stored_logits(session: Session) -> NDArray[np.float32] | None:
    """Clean logits of all evaluated examples, float32 ``(n, K)``, where an evaluator has asked for them; ``None`` else, and beside foreign code."""
    if session.dataset is None or session.beside is not None:
        return None
    examples = session.dataset.examples
    log = RowLog(_folder(session, examples) / "logits.f32", session.model.num_classes)
    return log.take(np.arange(len(examples))) if len(examples) and len(log) >= len(examples) else None


def pass_identity(session: Session, examples: ExampleSet) -> dict[str, Any]:
    """All that the clean predictions of some examples depend on."""
    return {**identity_of(session), "data": split_identity(session, examples)}


def _folder(session: Session, examples: ExampleSet) -> Path:
    """Where a pass is kept. Beside foreign code, which may falsify what is computed, it is the foreign code's own, unless there is nothing left to compute."""
    name = f"predictions-{digest(pass_identity(session, examples), 'the clean predictions')}"
    if session.beside is None or min(map(len, _logs(session.model, session.store.folder / "work" / name))) >= len(examples):
        return session.store.work(name)
    folder = session.beside / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
