"""Parquet files, one split or a folder of several, read through the ``datasets`` library."""

import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, final

from efficient360.core.paths import is_folder, user_path
from efficient360.datasets.card import Card
from efficient360.datasets.hub import load
from efficient360.datasets.layouts.layout import Layout
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.parquet_files import require_parquet
from efficient360.datasets.split_names import is_split, named_splits
from efficient360.errors import DatasetError

ONLY: Final = "test"
"""What files that are named one by one, or by a pattern, are called as a split."""


@final
@dataclass(frozen=True)
class Parquet(Layout):
    """Parquet files."""

    kind: ClassVar[str] = "parquet"
    typed: ClassVar[str] = "parquet:FILES"
    summary: ClassVar[str] = "Parquet files with an image and a label column"

    def recognise(self, path: Path) -> str:
        """As :class:`Layout`."""
        if path.suffix.casefold() in (".parquet", ".pq"):
            return "a Parquet file"
        if not is_folder(path):
            return ""
        files = _inside(path)
        splits = ", ".join(_by_split(files))
        return f"{len(files)} Parquet files{' of the splits ' + splits if splits else ''}" if files else ""

    def splits(self, location: str) -> Mapping[str, str]:
        """As :class:`Layout`. The files of a folder are of the splits they are named after; those named by a pattern are one."""
        folder = user_path(location)
        own = list(_by_split(_inside(folder))) if is_folder(folder) else []
        return named_splits(own) if own else {ONLY: ONLY}

    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """As :class:`Layout`."""
        folder = user_path(location)
        if not is_folder(folder):
            return opened_parquet(str(folder), card)
        inside = _inside(folder)
        return opened_files(_by_split(inside).get(split, inside), card, str(folder / "*.parquet"))

    def files(self, location: str) -> list[Path]:
        """As :class:`Layout`."""
        folder = user_path(location)
        return _inside(folder) if is_folder(folder) else _matching(str(folder))


def files_of_split(location: str, split: str) -> list[Path]:
    """The files of a split, by its own name."""
    files = Parquet().files(location)
    if not files:
        raise DatasetError("no-files", f"no file matches {location}", "check the path; quote the pattern so that the shell leaves it alone")
    return _by_split(files).get(split, files) if is_folder(user_path(location)) else files


def opened_parquet(pattern: str, card: Card) -> OpenedTable:
    """The rows of the files that match a pattern.

    Raises:
        DatasetError: There is none, or one is no Parquet.
    """
    return opened_files(_matching(pattern), card, pattern)


def opened_files(files: list[Path], card: Card, pattern: str) -> OpenedTable:
    """The rows of Parquet files.

    Args:
        files: In order.
        card: Whose columns are wanted; where it leaves them to be found, all are read.
        pattern: What they were looked for by, for messages.

    Raises:
        DatasetError: There is none, or one is no Parquet.
    """
    if not files:
        raise DatasetError("no-files", f"no file matches {pattern}", "check the path; quote the pattern so that the shell leaves it alone")
    what = f"the Parquet files of {card.name}"
    # The library knows files by path and time alone: their content in the name keeps another file's rows from being served.
    content = require_parquet(files, what)
    asked = {card.image or "image", card.label or "label", *card.groups}
    wanted = [column for column in content.columns if column in {*asked, "id"}]
    columns = {"columns": wanted} if asked <= set(content.columns) else {}
    rows = load(what, path="parquet", name=f"content-{content.digest}", data_files=[str(file) for file in files], split="train", **columns)
    return OpenedTable(rows, tuple(dict.fromkeys(file.resolve().parent for file in files)))


def _matching(pattern: str) -> list[Path]:
    return sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207 - the user's own pattern, absolute or not


def _inside(folder: Path) -> list[Path]:
    """The Parquet files of a folder, else those of the one folder in it that has some, or of folders called after splits, as in a copy of a hub repository."""
    here = sorted(folder.glob("*.parquet"))
    below = [] if here else sorted(folder.glob("*/*.parquet"))
    parents = {file.parent for file in below}
    return here or (below if len(parents) == 1 or all(is_split(parent.name) for parent in parents) else [])


def _by_split(files: list[Path]) -> dict[str, list[Path]]:
    """Files by the split they are named after, or lie in a folder of; empty where any is of none."""
    found: dict[str, list[Path]] = {}
    for file in files:
        name = re.split(r"[-.]|_(?=\d)", file.stem)[0]
        own = name if is_split(name) else file.parent.name
        if not is_split(own):
            return {}
        found.setdefault(own, []).append(file)
    return found
