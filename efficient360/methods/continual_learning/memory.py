"""A memory of fixed size for examples of earlier tasks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Final, final

import numpy as np


class Memory(ABC):
    """Items that were offered, no more than a fixed number of them."""

    @abstractmethod
    def offer(self, item: int, label: int) -> None:
        """Take an item in, perhaps in place of another, or leave it.

        Args:
            item: Its number.
            label: Its class.
        """

    @abstractmethod
    def items(self) -> list[int]:
        """What is held now."""


@final
class Reservoir(Memory):
    """Everything that was ever offered is held with the same chance (Vitter 1985, algorithm R).

    Args:
        size: The most items, at least 1.
        rng: Draws the places.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size, self._rng = size, rng
        self._held: list[int] = []
        self._offered = 0

    def offer(self, item: int, label: int) -> None:
        """Hold the n-th offered item with chance size / n."""
        self._offered += 1
        if len(self._held) < self._size:
            self._held.append(item)
        elif (place := int(self._rng.integers(self._offered))) < self._size:
            self._held[place] = item

    def items(self) -> list[int]:
        """In the order of their places."""
        return list(self._held)


@final
class Balanced(Memory):
    """As many of each class as possible: a full memory gives up one of its largest class (Prabhu et al. 2020, algorithm 1).

    Args:
        size: The most items, at least 1.
        rng: Draws what is given up.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._size, self._rng = size, rng
        self._held: dict[int, list[int]] = {}

    def offer(self, item: int, label: int) -> None:
        """Hold it unless its class is already the largest one of a full memory."""
        mine = self._held.setdefault(label, [])
        if sum(map(len, self._held.values())) >= self._size:
            largest = max(self._held, key=lambda name: (len(self._held[name]), -name))
            if len(self._held[largest]) <= len(mine):
                return
            given_up = self._held[largest]
            given_up.pop(int(self._rng.integers(len(given_up))))
        mine.append(item)

    def items(self) -> list[int]:
        """Class by class."""
        return [item for label in sorted(self._held) for item in self._held[label]]


MEMORIES: Final[Mapping[str, Callable[[int, np.random.Generator], Memory]]] = {"reservoir": Reservoir, "balanced": Balanced}
