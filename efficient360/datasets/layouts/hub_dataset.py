"""Any image data set on the Hugging Face hub by its id, its columns found from its features."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, final

from efficient360.datasets.card import Card
from efficient360.datasets.hub import caches, hub_splits, load, repository, require_answer
from efficient360.datasets.layouts.layout import Layout
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.split_names import named_splits


@final
@dataclass(frozen=True)
class HubDataset(Layout):
    """A repository on the hub."""

    kind: ClassVar[str] = "hub"
    typed: ClassVar[str] = "hub:ORG/NAME"
    summary: ClassVar[str] = "any image data set on the Hugging Face hub (hub:ORG/NAME:CONFIG for one of several configurations)"

    def recognise(self, path: Path) -> str:
        """As :class:`Layout`."""
        return ""

    def splits(self, location: str) -> Mapping[str, str]:
        """As :class:`Layout`."""
        return named_splits(hub_splits(repository(location)))

    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """As :class:`Layout`."""
        source, what = card.source, f"{card.name} on the hub"
        require_answer(source.location, what)
        return OpenedTable(load(what, path=source.location, name=source.config, split=split, revision=source.revision), caches())

    def files(self, location: str) -> list[Path]:
        """As :class:`Layout`."""
        return []
