"""Task pools built from data sets: images decoded once, corrupted where the stream requires it, and cached on disk."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.errors import DatasetError, Unsupported
from efficient360.evaluator import Context, Examples, OtherSet
from efficient360.methods.continual_learning.stream import CHUNK, LabelledInputs, Pixels, Task
from efficient360.methods.continual_learning.task_pool import DomainPool, NewClassPool, unknown_classes
from efficient360.storage.pixel_store import PixelStore
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

CORRUPTIONS: Final = "corruptions"
ORIGINAL: Final = "original"
MIN_IMAGES: Final = 10
"""Training and test images that a group needs to be a task."""
Transform = Callable[[Batch], Tensor]


@final
@dataclass(frozen=True)
class TaskPoolBuilder:
    """Builds task pools from the images of an evaluation.

    Args:
        context: Of the evaluation.
        folder: Cache of this stream's images.
        known: The evaluated split, whose classes the checkpoint knows.
        images: Maximum training images per task.
        tested: Maximum test images per task.
        tasks: Maximum number of tasks.
    """

    context: Context
    folder: Path
    known: Examples
    images: int
    tested: int
    tasks: int

    def new_classes(self, other: OtherSet) -> NewClassPool:
        """The classes of another data set that are new to the checkpoint.

        Raises:
            Unsupported: It knows them all, or the data set is not available.
        """
        try:
            training, test = other.training(), other.test()
        except DatasetError as error:
            raise Unsupported(error.code, f"the stream {other.name} is not available: {error.message}", error.hint) from error
        names = training.class_names
        new = unknown_classes(names, [*self.context.checkpoint.class_names, *self.known.class_names], other.title)
        splits = [
            self._cached(f"{other.name}-{split}", _with_classes(examples, new).subset(maximum * self.tasks, self.context.seed), _clean)
            for split, examples, maximum in (("training", training, self.images), ("test", test, self.tested))
        ]
        new_label = np.zeros(len(names), dtype=np.int64)
        new_label[new] = np.arange(len(new))
        training_split, test_split = (part.relabel(new_label) for part in splits)
        original = self._original(None if self.context.training is None else self.context.training.subset(self.images, self.context.seed))
        return NewClassPool(other.name, other.title, original, tuple(names[c] for c in new), training_split, test_split, self.tasks)

    def corruptions(self, corrupt: Mapping[str, Transform], severity: int) -> DomainPool:
        """The data set's own images: different training images for each corruption, the same test images for all.

        Args:
            corrupt: By name, from a batch to its corrupted images.
            severity: Of all corruptions, for the title.

        Raises:
            Unsupported: There is no training split.
        """
        pool = self._training(CORRUPTIONS).subset(self.images * (len(corrupt) + 1), self.context.seed)
        positions = _deal(pool.labels, len(corrupt) + 1)
        if min(map(len, positions)) == 0:
            raise Unsupported("too-few-examples", f"{len(pool)} training images are too few for {len(corrupt)} tasks", "name fewer corruptions")
        shares = [pool.select([pool.ids[i] for i in share]) for share in positions]
        test = self.known.subset(self.tested, self.context.seed)
        original = self._original(shares[0])
        domains = tuple(self._task(name, share, test, transform) for (name, transform), share in zip(corrupt.items(), shares[1:], strict=True))
        return DomainPool(CORRUPTIONS, f"corruptions of severity {severity}", original, domains)

    def groups(self, column: str) -> DomainPool:
        """The largest groups of a column, a task each.

        Raises:
            Unsupported: There is no training split or no such column, or fewer than two groups are large enough.
        """
        name = f"group:{column}"
        training, test = self._training(name), self.known
        if column not in training.groups or column not in test.groups:
            message = f"the data set names no group column {column!r}"
            raise Unsupported("no-group-column", message, f"its columns: {', '.join(test.groups) or 'none'}; choose some with --group-column")
        members = {value: (_members(training, column, value), _members(test, column, value)) for value in sorted(set(training.groups[column]))}
        large = sorted((v for v, sides in members.items() if min(map(len, sides)) >= MIN_IMAGES), key=lambda v: -len(members[v][0]))[: self.tasks]
        if len(large) < 2:
            message = f"{len(large)} groups of {column} have {MIN_IMAGES} training and {MIN_IMAGES} test images"
            raise Unsupported("too-few-groups", message, "choose a column with at least two such groups")
        seed = self.context.seed
        domains = tuple(
            self._task(value, training.select(members[value][0]).subset(self.images, seed), test.select(members[value][1]).subset(self.tested, seed), _clean)
            for value in large
        )
        return DomainPool(name, f"groups of {column}", self._original(training.subset(self.images, seed)), domains)

    def _original(self, training: Examples | None) -> Task:
        test = self.known.subset(self.tested, self.context.seed)
        if training is None:
            part = self._cached(f"{ORIGINAL}-test", test, _clean)
            none = np.empty(0, dtype=np.int64)
            return Task(ORIGINAL, self._outputs, LabelledInputs(part.inputs, none, none), part)
        return self._task(ORIGINAL, training, test, _clean)

    @property
    def _outputs(self) -> tuple[int, ...]:
        return tuple(range(len(self.known.class_names)))

    def _training(self, stream: str) -> Examples:
        if self.context.training is None:
            message = f"the stream {stream} needs a training split, and the data set has none besides the evaluated one"
            raise Unsupported("no-training-split", message, "give a data set with one, or name another data set in streams")
        return self.context.training

    def _task(self, name: str, training: Examples, test: Examples, transform: Transform) -> Task:
        return Task(name, self._outputs, self._cached(f"{name}-training", training, transform), self._cached(f"{name}-test", test, transform))

    def _cached(self, name: str, examples: Examples, transform: Transform) -> LabelledInputs:
        context, size = self.context, context_size(self.context)
        log = RowLog(self.folder / _file(name), prod(size), "uint8")
        recorded(log, examples, CHUNK, lambda batch: _to_uint8(transform(batch)), context.deadline, context.progress)
        return LabelledInputs(Pixels(PixelStore(log, size)), np.arange(len(examples), dtype=np.int64), examples.labels)


def context_size(context: Context) -> tuple[int, int, int]:
    """``(3, H, W)`` of the images that the checkpoint takes."""
    channels, height, width = context.checkpoint.preprocessing.input_size
    return channels, height, width


def _file(name: str) -> str:
    return f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.u8"  # a group's name may hold anything


def _clean(batch: Batch) -> Tensor:
    return batch.images


def _to_uint8(images: Tensor) -> NDArray[Any]:
    pixels: NDArray[Any] = (images.detach().cpu() * 255).round().clamp(0, 255).byte().flatten(1).numpy()
    return pixels


def _members(examples: Examples, column: str, value: str) -> list[str]:
    return [name for name, group in zip(examples.ids, examples.groups[column], strict=True) if group == value]


def _with_classes(examples: Examples, classes: Sequence[int]) -> Examples:
    return examples.select([examples.ids[i] for i in np.flatnonzero(np.isin(examples.labels, classes)).tolist()])


def _deal(labels: NDArray[np.int64], hands: int) -> list[list[int]]:
    """Positions dealt to ``hands`` lists so that each gets its share of every class."""
    order = np.argsort(labels, kind="stable")
    return [sorted(order[hand::hands].tolist()) for hand in range(hands)]
