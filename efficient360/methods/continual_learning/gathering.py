"""From data sets to the material of streams: images decoded once, corrupted where they are to be, and kept on disk."""

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
from efficient360.methods.continual_learning.inputs import CHUNK, Part, Pixels
from efficient360.methods.continual_learning.material import Domains, NewClasses, unknown_classes
from efficient360.methods.continual_learning.stream import Task
from efficient360.storage.pixel_store import PixelStore
from efficient360.storage.resumable import recorded
from efficient360.storage.row_log import RowLog

CORRUPTIONS: Final = "corruptions"
ORIGINAL: Final = "original"
LEAST: Final = 10
"""Fewer training or test images of a group are no task."""
Look = Callable[[Batch], Tensor]


@final
@dataclass(frozen=True)
class Gathering:
    """Where images come from and how many of them are taken.

    Args:
        context: Of the evaluation.
        folder: Where the images of this stream are kept.
        known: The evaluated split: of classes that the checkpoint knows.
        images: The most training images a task.
        tested: The most test images a task.
        tasks: The most tasks.
    """

    context: Context
    folder: Path
    known: Examples
    images: int
    tested: int
    tasks: int

    def new_classes(self, other: OtherSet) -> NewClasses:
        """The classes of another data set that are new to the checkpoint.

        Raises:
            Unsupported: It knows them all, or the data set can't be had.
        """
        try:
            training, test = other.training(), other.test()
        except DatasetError as error:
            raise Unsupported(error.code, f"the stream {other.name} can't be had: {error.message}", error.hint) from error
        names = training.class_names
        new = unknown_classes(names, [*self.context.checkpoint.class_names, *self.known.class_names], other.title)
        parts = [
            self._part(f"{other.name}-{split}", _of_classes(of, new).subset(most * self.tasks, self.context.seed), _clean)
            for split, of, most in (("training", training, self.images), ("test", test, self.tested))
        ]
        place = np.zeros(len(names), dtype=np.int64)
        place[new] = np.arange(len(new))
        training_part, test_part = (part.relabelled(place) for part in parts)
        original = self._original(None if self.context.training is None else self.context.training.subset(self.images, self.context.seed))
        return NewClasses(other.name, other.title, original, tuple(names[c] for c in new), training_part, test_part, self.tasks)

    def corruptions(self, looks: Mapping[str, Look], severity: int) -> Domains:
        """The data set's own images, other training images under each corruption, the same test images under all.

        Args:
            looks: What each corruption makes of a batch, by its name.
            severity: Of all of them, for the title.

        Raises:
            Unsupported: There is no training split.
        """
        drawn = self._training(CORRUPTIONS).subset(self.images * (len(looks) + 1), self.context.seed)
        dealt = _dealt(drawn.labels, len(looks) + 1)
        if min(map(len, dealt)) == 0:
            raise Unsupported("too-few-examples", f"{len(drawn)} training images are too few for {len(looks)} tasks", "name fewer corruptions")
        shares = [drawn.select([drawn.ids[i] for i in share]) for share in dealt]
        test = self.known.subset(self.tested, self.context.seed)
        original = self._original(shares[0])
        domains = tuple(self._task(name, share, test, look) for (name, look), share in zip(looks.items(), shares[1:], strict=True))
        return Domains(CORRUPTIONS, f"corruptions of severity {severity}", original, domains)

    def groups(self, column: str) -> Domains:
        """The largest groups of a column, one after the other.

        Raises:
            Unsupported: There is no training split or no such column, or fewer than two groups are large enough.
        """
        name = f"group:{column}"
        training, test = self._training(name), self.known
        if column not in training.groups or column not in test.groups:
            message = f"the data set names no group column {column!r}"
            raise Unsupported("no-group-column", message, f"its columns: {', '.join(test.groups) or 'none'}; choose some with --group-column")
        members = {value: (_members(training, column, value), _members(test, column, value)) for value in sorted(set(training.groups[column]))}
        large = sorted((v for v, sides in members.items() if min(map(len, sides)) >= LEAST), key=lambda v: -len(members[v][0]))[: self.tasks]
        if len(large) < 2:
            message = f"{len(large)} groups of {column} have {LEAST} training and {LEAST} test images"
            raise Unsupported("too-few-groups", message, "choose a column with at least two such groups")
        seed = self.context.seed
        domains = tuple(
            self._task(value, training.select(members[value][0]).subset(self.images, seed), test.select(members[value][1]).subset(self.tested, seed), _clean)
            for value in large
        )
        return Domains(name, f"groups of {column}", self._original(training.subset(self.images, seed)), domains)

    def _original(self, training: Examples | None) -> Task:
        test = self.known.subset(self.tested, self.context.seed)
        if training is None:
            part = self._part(f"{ORIGINAL}-test", test, _clean)
            nothing = np.empty(0, dtype=np.int64)
            return Task(ORIGINAL, self._outputs, Part(part.inputs, nothing, nothing), part)
        return self._task(ORIGINAL, training, test, _clean)

    @property
    def _outputs(self) -> tuple[int, ...]:
        return tuple(range(len(self.known.class_names)))

    def _training(self, stream: str) -> Examples:
        if self.context.training is None:
            message = f"the stream {stream} wants a training split, and the data set has none beside the evaluated one"
            raise Unsupported("no-training-split", message, "give a data set with one, or name another data set in streams")
        return self.context.training

    def _task(self, name: str, training: Examples, test: Examples, look: Look) -> Task:
        return Task(name, self._outputs, self._part(f"{name}-training", training, look), self._part(f"{name}-test", test, look))

    def _part(self, name: str, examples: Examples, look: Look) -> Part:
        context, size = self.context, context_size(self.context)
        log = RowLog(self.folder / _file(name), prod(size), "uint8")
        recorded(log, examples, CHUNK, lambda batch: _bytes(look(batch)), context.deadline, context.progress)
        return Part(Pixels(PixelStore(log, size)), np.arange(len(examples), dtype=np.int64), examples.labels)


def context_size(context: Context) -> tuple[int, int, int]:
    """``(3, H, W)`` of the images that the checkpoint takes."""
    channels, height, width = context.checkpoint.preprocessing.input_size
    return channels, height, width


def _file(name: str) -> str:
    return f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.u8"  # a group's name may hold anything


def _clean(batch: Batch) -> Tensor:
    return batch.images


def _bytes(images: Tensor) -> NDArray[Any]:
    pixels: NDArray[Any] = (images.detach().cpu() * 255).round().clamp(0, 255).byte().flatten(1).numpy()
    return pixels


def _members(examples: Examples, column: str, value: str) -> list[str]:
    return [name for name, group in zip(examples.ids, examples.groups[column], strict=True) if group == value]


def _of_classes(examples: Examples, classes: Sequence[int]) -> Examples:
    return examples.select([examples.ids[i] for i in np.flatnonzero(np.isin(examples.labels, classes)).tolist()])


def _dealt(labels: NDArray[np.int64], hands: int) -> list[list[int]]:
    """Places dealt out so that each hand gets its share of every class."""
    order = np.argsort(labels, kind="stable")
    return [sorted(order[hand::hands].tolist()) for hand in range(hands)]
