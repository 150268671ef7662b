"""The images of a folder of class folders: exactly the files that are there, with a count of what was left out and why."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from efficient360.datasets.image_formats import ENDINGS, HEAD, UNREAD_ENDINGS, is_image
from efficient360.datasets.regular_files import read_file, require_regular
from efficient360.errors import DatasetError

HIDDEN: Final = "hidden"
NO_IMAGE: Final = "not an image"
UNREAD: Final = "a picture in a format that is not read"
OUTSIDE: Final = "outside the class folders"
LOOP: Final = "a link back to a folder around it"
_SYSTEM: Final = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
NAMED: Final = 3
"""How many of the files left out for a reason are named."""


@final
@dataclass(frozen=True)
class Listing:
    """What a folder of class folders holds.

    Args:
        classes: Names of the class folders, numbers in numeric order, other names in the order of their characters.
        files: Paths of the images, class after class.
        ids: Path of each within the root, with ``/``.
        labels: Index of each one's class.
        skipped: How many files were left out, by reason.
        examples: A few of them, by reason.
    """

    classes: Sequence[str]
    files: Sequence[str]
    ids: Sequence[str]
    labels: Sequence[int]
    skipped: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)


def in_order(names: Sequence[str]) -> list[str]:
    """Class names in their order: by number where all are numbers, else by their characters."""
    return sorted(names, key=lambda name: (int(name), name)) if names and all(is_number(name) for name in names) else sorted(names)


def is_number(name: str) -> bool:
    """Whether a class is called by a number: plain decimal digits."""
    return name.isascii() and name.isdigit() and len(name) < 10


def list_classes(folder: Path) -> list[str]:
    """Names of a folder's class folders in their order.

    Raises:
        DatasetError: It can't be read.
    """
    return in_order([child.name for child in sub_folders(folder)])


def list_images(folder: Path, root: Path, classes: Sequence[str]) -> Listing:
    """The images in the class folders of a folder, at any depth. Links are followed.

    A file with an image's ending is an image; one with another or none is looked at. Hidden files, and what is no image, are left out and counted.

    Args:
        folder: Holds the class folders.
        root: What ids are relative to.
        classes: Class names in order, those of ``folder`` among them.

    Raises:
        DatasetError: A folder or file can't be read; a pipe, device or dead link stands among the images; or there is no image at all.
    """
    skipped: Counter[str] = Counter()
    named: dict[str, list[str]] = {}
    files: list[str] = []
    labels: list[int] = []

    def skip(reason: str, path: str) -> None:
        skipped[reason] += 1
        if len(names := named.setdefault(reason, [])) < NAMED:
            names.append(_id(path, root))

    for entry in _entries(folder):
        if is_hidden(entry.name):
            skip(HIDDEN, entry.path)
        elif not entry.is_dir():
            skip(OUTSIDE, entry.path)
    for label, name in enumerate(classes):
        if not (folder / name).is_dir():
            continue
        for path, reason in _walk(str(folder / name), (str(folder),)):
            if reason:
                skip(reason, path)
            else:
                files.append(path)
                labels.append(label)
    if not files:
        hint = "put the images of each class into a sub-folder named after it; see docs/datasets.md for the formats that are read"
        raise DatasetError("empty-split", f"the class folders of {folder} hold no image", hint)
    return Listing([as_text(name) for name in classes], files, [_id(path, root) for path in files], labels, dict(skipped), named)


def sub_folders(folder: Path) -> list[Path]:
    """The folders in a folder that are not hidden, sorted; links to folders are folders.

    Raises:
        DatasetError: It can't be read.
    """
    return [Path(entry.path) for entry in _entries(folder) if not is_hidden(entry.name) and entry.is_dir()]


def holds_image(folder: Path) -> bool:
    """Whether an image lies directly in a folder."""
    return any(not is_hidden(entry.name) and not entry.is_dir() and _reason(entry) == "" for entry in _entries(folder))


def images_in(folder: Path) -> list[str]:
    """Names of the images directly in a folder, sorted."""
    return [entry.name for entry in _entries(folder) if not is_hidden(entry.name) and not entry.is_dir() and _reason(entry) == ""]


def list_flat(folder: Path, root: Path, classes: Sequence[str], label: Callable[[int, str], str | None], source: Path) -> Listing:
    """The images directly in a folder, whose classes something else says.

    Args:
        folder: Holds the images.
        root: What ids are relative to.
        classes: Class names in order.
        label: The class of an image by its place among the images, sorted by name, and its name; ``None`` where it has none.
        source: The file that says so, which is not left out where it lies among them.

    Raises:
        DatasetError: A folder or file can't be read, or an image has no label (``missing-label``).
    """
    place = {name: i for i, name in enumerate(classes)}
    files = [entry for entry in _entries(folder) if not is_hidden(entry.name) and not entry.is_dir()]
    others = [(entry, reason) for entry in files if entry.name != source.name and (reason := _reason(entry))]
    left_out = {source.name, *(entry.name for entry, _ in others)}
    images = [entry for entry in files if entry.name not in left_out]
    labels = [label(i, entry.name) for i, entry in enumerate(images)]
    missing = [entry.name for entry, found in zip(images, labels, strict=True) if found is None]
    if missing:
        message = f"{len(missing)} of the {len(images)} images in {folder} have no label, the first is {missing[0]}"
        raise DatasetError("missing-label", message, "complete the label file, or move these images away")
    skipped = Counter(reason for _, reason in others)
    named = {reason: [_id(entry.path, root) for entry, why in others if why == reason][:NAMED] for reason in skipped}
    paths = [entry.path for entry in images]
    return Listing([as_text(name) for name in classes], paths, [_id(path, root) for path in paths], [place[str(found)] for found in labels], skipped, named)


def files_beside(folder: Path) -> int:
    """How many files that are not hidden lie directly in a folder."""
    return sum(1 for entry in _entries(folder) if not is_hidden(entry.name) and not entry.is_dir())


def is_hidden(name: str) -> bool:
    """Whether a file or folder is one that systems leave behind: names with a leading dot, and a few others."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def _walk(folder: str, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Files of a folder at any depth, each with the reason why it is left out, ``""`` for an image."""
    if any(Path(folder).samefile(other) for other in above):
        yield folder, LOOP
        return
    inner = []
    for entry in _entries(folder):
        if is_hidden(entry.name):
            yield entry.path, HIDDEN
        elif entry.is_dir():
            inner.append(entry.path)
        else:
            yield entry.path, _reason(entry)
    for path in inner:
        yield from _walk(path, (*above, folder))


def _entries(folder: str | Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DatasetError("unreadable-folder", f"the folder {folder} can't be read: {error.strerror}", "give yourself the right to read it") from error


def _reason(entry: "os.DirEntry[str]") -> str:
    """Why a file is left out; ``""`` for an image.

    Raises:
        DatasetError: It is no file at all, or can't be read.
    """
    if not entry.is_file():
        require_regular(Path(entry.path), f"{entry.path} among the images")
    ending = os.path.splitext(entry.name)[1].casefold()  # noqa: PTH122 - a folder may hold a million
    if ending in ENDINGS or is_image(read_file(Path(entry.path), f"{entry.path} among the images", HEAD)):
        return ""
    return UNREAD if ending in UNREAD_ENDINGS else NO_IMAGE


def as_text(name: str) -> str:
    """A file's name as text: bytes that are no UTF-8 are spelt out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _id(path: str, root: Path) -> str:
    start = f"{root}/"
    return as_text(path[len(start) :] if path.startswith(start) else Path(path).relative_to(root).as_posix())
