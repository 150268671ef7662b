"""A split of a data set: examples in a fixed order with stable ids, decoded only batch by batch."""

import contextlib
import copy
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.datasets.images import Decoder, stack
from efficient360.datasets.regular_files import image_bytes
from efficient360.errors import DatasetError

_READ = 256


@final
@dataclass(frozen=True)
class ExampleSet:
    """Part of a table whose image column is left encoded. Implements :class:`efficient360.evaluator.Examples`.

    Args:
        table: Rows whose image column holds ``{"bytes", "path"}``: a ``datasets.Dataset``, or whatever is indexed like one.
        image: Name of that column.
        positions: Rows of the table that belong to it, int64 ``(n,)``.
        ids: Stable id of each example.
        labels: int64 ``(n,)``.
        groups: Group values by group column.
        class_names: Name of each class.
        decoder: From the bytes of an image to its pixels.
        seed: The run's seed, handed on in every batch.
        roots: Folders that must hold the image files which a table names by path; empty where the paths are our own listing's.
        trouble: Kind of error that an unreadable image is raised as.
        white: Value of white in images of more than 8 bits, where the split has some: it changes what the same bytes mean.
    """

    table: Any
    image: str
    positions: NDArray[np.int64]
    ids: Sequence[str]
    labels: NDArray[np.int64]
    groups: Mapping[str, Sequence[str]]
    class_names: Sequence[str]
    decoder: Decoder
    seed: int
    roots: tuple[Path, ...] = ()
    white: float | None = None
    trouble: type[DatasetError] = DatasetError

    def __len__(self) -> int:
        return len(self.positions)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over ids, labels and encoded images, in order."""
        return self._read[0]

    @property
    def hashes(self) -> Sequence[bytes]:
        """SHA-1 of each encoded image: equal for the same file twice."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[str, Sequence[bytes]]:
        """Digest and hashes, from one pass over the images."""
        state = hashlib.sha256() if self.white is None else hashlib.sha256(f"white {self.white:g}\0".encode())
        hashes = []
        for start in range(0, len(self), _READ):
            window = slice(start, start + _READ)
            for name, label, encoded in zip(self.ids[window], self.labels[window], self.encoded(start, start + _READ), strict=True):
                state.update(f"{name}\0{label}\0{len(encoded)}\0".encode())
                state.update(encoded)
                hashes.append(hashlib.sha1(encoded, usedforsecurity=False).digest())
        return state.hexdigest(), hashes

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, labels and the encoded images at 1,000 evenly spaced places: for splits that are too large to be read whole."""
        state = hashlib.sha256(json.dumps([list(self.ids), self.labels.tolist(), *([] if self.white is None else [self.white])]).encode())
        for place in np.unique(np.linspace(0, len(self) - 1, min(len(self), 1000)).astype(int)).tolist():
            (encoded,) = self.encoded(place, place + 1)
            state.update(encoded)
        return state.hexdigest()

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Consecutive batches of at most ``size`` examples from position ``start``; images decode on first look."""
        for first in range(start, len(self), size):
            last = min(first + size, len(self))
            yield Batch(
                ids=tuple(self.ids[first:last]),
                labels=torch.from_numpy(self.labels[first:last].copy()),
                load=partial(self._images, first, last),
                seed=self.seed,
                groups={column: tuple(values[first:last]) for column, values in self.groups.items()},
            )

    def copied(self) -> "ExampleSet":
        """The same examples, whose ids, labels and groups nobody else holds and which can't be written to."""
        labels = self.labels.copy()
        labels.setflags(write=False)
        copy_ = copy.copy(self)  # with the digests that are known already
        for name, value in (("labels", labels), ("ids", tuple(self.ids)), ("class_names", tuple(self.class_names))):
            object.__setattr__(copy_, name, value)
        object.__setattr__(copy_, "groups", MappingProxyType({column: tuple(values) for column, values in self.groups.items()}))
        return copy_

    def subset(self, n: int, seed: int) -> "ExampleSet":
        """At most ``n`` examples, stratified by label, seeded, nested; in the order of the whole."""
        return self._take(stratified(self.labels, n, seed))

    def select(self, ids: Sequence[str]) -> "ExampleSet":
        """The examples of these ids, in the order given.

        Raises:
            KeyError: An id that is not in the split.
        """
        place = {name: i for i, name in enumerate(self.ids)}
        return self._take(np.array([place[name] for name in ids], dtype=np.int64))

    def _take(self, order: NDArray[np.int64]) -> "ExampleSet":
        return dataclasses.replace(
            self,
            positions=self.positions[order],
            ids=[self.ids[i] for i in order],
            labels=self.labels[order],
            groups={column: [values[i] for i in order] for column, values in self.groups.items()},
        )

    def _images(self, first: int, last: int) -> Tensor:
        encoded = self.encoded(first, last)
        with self._named():
            return stack([self.decoder(data, name) for data, name in zip(encoded, self.ids[first:last], strict=True)])

    def encoded(self, first: int, last: int) -> list[bytes]:
        """The images at positions ``first`` … ``last - 1`` as they are stored.

        Raises:
            DatasetError: One is missing, is no regular file, or lies outside the data's folders.
        """
        cells = self.table[self.positions[first:last]][self.image]
        with self._named():
            return [image_bytes(cell, self.roots, name) for cell, name in zip(cells, self.ids[first:last], strict=True)]

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Raise what can't be read as the kind of error that it is for this split."""
        try:
            yield
        except DatasetError as error:
            raise self.trouble(error.code, error.message, error.hint) from error


def stratified(labels: NDArray[np.integer[Any]], n: int, seed: int) -> NDArray[np.int64]:
    """Positions of ``n`` examples whose labels are shared out as in the whole, in ascending order.

    Each example gets its place within its class, ``(rank + u) / size`` with a random rank and offset ``u`` in [0, 1); the ``n`` smallest
    places win. So every class gets its share within one example, and the subset of a smaller ``n`` is part of the one of a larger.

    Args:
        labels: int ``(N,)``.
        n: How many, at least 1; all of them when ``n >= N``.
        seed: Same seed, same subset.
    """
    if n >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (rng.permutation(len(members)) + rng.random()) / len(members)
    return np.sort(np.argsort(place, kind="stable")[:n]).astype(np.int64)
