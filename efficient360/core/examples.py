"""What an evaluator sees of data: a split, a shifted version of it, another data set. How they are read stands elsewhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.batch import Batch


class Examples(Protocol):
    """A split, or part of one: examples in a fixed order with stable ids."""

    @property
    def digest(self) -> str:
        """SHA-256 over ids, labels and encoded images: the identity of the data."""

    @property
    def class_names(self) -> Sequence[str]:
        """Name of each class, index = label."""

    @property
    def ids(self) -> Sequence[str]:
        """Stable ids in order."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """Labels in order, int64 ``(n,)``."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """Group values in order by group column."""

    def __len__(self) -> int:
        """Number of examples."""

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        """Consecutive batches of at most ``size`` examples from position ``start``."""

    def subset(self, n: int, seed: int) -> "Examples":
        """At most ``n`` examples, stratified by label and seeded; a smaller subset of the same seed is part of a larger one."""

    def select(self, ids: Sequence[str]) -> "Examples":
        """The examples of these ids, in the order given."""


@final
@dataclass(frozen=True)
class ShiftedSet:
    """A shifted version of the test set, as the data set's card names it.

    Args:
        name: Stable name, for conditions.
        title: What it is called in print.
        classes: The data set's classes that it covers, ascending; empty when it covers all.
        identity: Changes when its source does.
        open: Its examples, labelled with the data set's classes. Raises ``DatasetError`` where it can't be had.
    """

    name: str
    title: str
    classes: tuple[int, ...]
    identity: str
    open: Callable[[], Examples]


@final
@dataclass(frozen=True)
class OtherSet:
    """A data set beside the evaluated one, with images sized for the model and labels of its own.

    Args:
        name: As the settings gave it, without a folder: for conditions.
        title: What it is called in print.
        identity: Changes when its source does.
        test: Its evaluated split. Raises ``DatasetError`` where it can't be had.
        training: Its training split, likewise.
    """

    name: str
    title: str
    identity: str
    test: Callable[[], Examples]
    training: Callable[[], Examples]


UNSEEN = "unseen-classes"
"""The name in ``Context.others`` of the evaluated data set's classes that the checkpoint was never trained on."""
