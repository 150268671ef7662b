"""Folders written by the ``datasets`` library's ``save_to_disk``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from efficient360.core.paths import is_folder, user_path
from efficient360.datasets.card import Card
from efficient360.datasets.hub import explained, undecoded
from efficient360.datasets.layouts.layout import Layout
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.split_names import WHOLE, named_splits
from efficient360.errors import DatasetError


@final
@dataclass(frozen=True)
class SavedDataset(Layout):
    """What ``save_to_disk`` wrote: one split, or a folder of several."""

    kind: ClassVar[str] = "save_to_disk"
    typed: ClassVar[str] = "save_to_disk:DIR"
    summary: ClassVar[str] = "a folder written by the datasets library's save_to_disk"

    def recognise(self, path: Path) -> str:
        """As :class:`Layout`."""
        if is_folder(path) and (path / "dataset_dict.json").is_file():
            return "several splits saved by the datasets library"
        return "a split saved by the datasets library" if is_folder(path) and (path / "state.json").is_file() else ""

    def splits(self, location: str) -> Mapping[str, str]:
        """As :class:`Layout`."""
        folder = _folder(location)
        own = sorted(child.name for child in folder.iterdir() if (child / "state.json").is_file())
        return named_splits(own) if own else {WHOLE: ""}

    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """As :class:`Layout`."""
        folder = _folder(location)
        inner = folder / split if split else folder
        return OpenedTable(_load(inner), (folder.resolve(),))

    def files(self, location: str) -> list[Path]:
        """As :class:`Layout`."""
        return [file for file in user_path(location).rglob("*") if file.is_file()]


def _folder(location: str) -> Path:
    folder = user_path(location)
    if not is_folder(folder) or not SavedDataset().recognise(folder):
        raise DatasetError("no-folder", f"{folder} is no folder that save_to_disk wrote", "give the folder that holds state.json or dataset_dict.json")
    return folder


def _load(folder: Path) -> Any:
    from datasets.utils.logging import disable_progress_bar, set_verbosity_error

    from datasets import Dataset

    set_verbosity_error()
    disable_progress_bar()
    try:
        table = Dataset.load_from_disk(str(folder))
    except Exception as error:  # the library's loaders raise anything from OSError to pyarrow's own errors
        raise explained(f"the data set in {folder}", error) from error
    table.reset_format()  # of tensors, say
    return undecoded(table)
