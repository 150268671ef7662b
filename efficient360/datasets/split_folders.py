"""Which top-level folders of an image folder are splits: by exact names only, and only where they hold class folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from efficient360.datasets.folder_listing import files_beside, sub_folders
from efficient360.datasets.folder_listing import holds_image as _holds_image
from efficient360.errors import DatasetError

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "test": ("test", "testing"),
    "val": ("val", "valid", "validation"),
    "train": ("train", "training"),
}
"""Folder names of each split in any case, in the order in which one is taken for evaluation when none is asked for."""
WHOLE: Final = "all"
"""What the only split of a folder without split folders is called."""


def kind_of(name: str) -> str:
    """``test``, ``val`` or ``train`` for a split's name of any spelling; the name itself, in lower case, for another."""
    return next((kind for kind, names in NAMES.items() if name.casefold() in names), name.casefold())


def split_folders(folder: Path) -> dict[str, Path]:
    """The folders of an image folder that are splits, by their own names, in the order of :data:`NAMES`; empty where it holds class folders itself.

    Raises:
        DatasetError: It can't be read, two folders are the same split, or folders of images stand beside splits.
    """
    top = sub_folders(folder)
    found = {child.name: child for child in top if kind_of(child.name) in NAMES and sub_folders(child) and not _holds_image(child)}
    ordered = {name: path for kind in NAMES for name, path in found.items() if kind_of(name) == kind}
    kinds: dict[str, str] = {}
    for name in ordered:
        other = kinds.setdefault(kind_of(name), name)
        if other != name:
            raise DatasetError("ambiguous-folder", f"{folder} holds both {other}/ and {name}/, which are the same split", "give the folder of one of them")
    classes = [child.name for child in top if child.name not in ordered and _holds_image(child)]
    if ordered and classes:
        message = f"{folder} holds {_named(list(ordered))}, which look like splits, beside {_named(classes)}, which look like classes"
        raise DatasetError("ambiguous-folder", message, "give the folder of one split, or move the others away")
    return ordered


def choose_split(folder: Path, splits: Sequence[str], asked: str) -> str:
    """The name of the split folder to evaluate; ``""`` for a folder without splits.

    Args:
        folder: For messages.
        splits: Names of its split folders.
        asked: The split the user asked for, in any usual spelling; ``""`` takes the first of test, validation, training.

    Raises:
        DatasetError: There is no such split.
    """
    if not asked or (not splits and asked == WHOLE):
        return splits[0] if splits else ""
    chosen = next((name for name in splits if name == asked), None) or next((name for name in splits if kind_of(name) == kind_of(asked)), None)
    if chosen is not None:
        return chosen
    if not splits:
        message = f"{folder} has no split called {asked!r}: the folders in it are taken for classes"
        raise DatasetError("unknown-split", message, "leave out --split, or give the folder that holds a folder for each split")
    raise DatasetError("unknown-split", f"{folder} has no split called {asked!r}", f"its splits are: {', '.join(splits)}")


def beside(folder: Path, splits: Sequence[str]) -> int:
    """How many files lie beside the split folders, and in folders that are none."""
    others = [child for child in sub_folders(folder) if child.name not in splits]
    return files_beside(folder) + sum(1 for child in others for path in child.rglob("*") if path.is_file())


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"{name}/" for name in names[:5]) + (" …" if len(names) > 5 else "")
