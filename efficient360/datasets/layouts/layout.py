"""What a way of keeping data on disks is: how it is named, which splits it has, and its rows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from efficient360.datasets.card import Card
from efficient360.datasets.opened_table import OpenedTable


class Layout(ABC):
    """One way of keeping data on disks."""

    kind: ClassVar[str]
    """What is typed before the colon, and the kind of a card's source."""
    typed: ClassVar[str]
    """How a reference to it is typed: ``imagefolder:DIR``."""
    summary: ClassVar[str]
    """What it is, in a line."""

    @abstractmethod
    def recognise(self, path: Path) -> str:
        """What of this layout lies at a path, in words; ``""`` where nothing does. Looks, reads little, never raises."""

    @abstractmethod
    def splits(self, location: str) -> Mapping[str, str]:
        """Our names of the splits to their own, the one evaluated by default first.

        Raises:
            DatasetError: It can't be read, or is no such layout.
        """

    @abstractmethod
    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """The rows of one split.

        Args:
            location: A path, or a pattern of paths.
            split: Its own name.
            card: What is asked for: columns, where named.

        Raises:
            DatasetError: It can't be read, or is no such layout.
        """

    @abstractmethod
    def files(self, location: str) -> list[Path]:
        """The files it is read from: what changes when they do is another data set."""
