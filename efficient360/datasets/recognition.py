"""A plain path in place of a reference: read as what it is where that is unmistakable, else an error that offers the nearest thing that works."""

import difflib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from efficient360.core.findings import Finding
from efficient360.core.paths import exists, is_file, is_folder, user_path
from efficient360.datasets.card import card_names
from efficient360.datasets.columns import plain
from efficient360.datasets.folder_listing import holds_image, images_in, sub_folders
from efficient360.datasets.image_formats import ENDINGS
from efficient360.datasets.layouts.catalogue import ALIASES, LAYOUTS
from efficient360.errors import DatasetError

ARCHIVES: Final = (".zip", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst")
UNREAD: Final = {
    ".pkl": "a pickle, which can run code",
    ".pickle": "a pickle, which can run code",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".lmdb": "LMDB",
    ".mdb": "LMDB",
    ".tfrecord": "TFRecord",
    ".rec": "RecordIO",
    ".npy": "a single NumPy array, without labels",
    ".mat": "MATLAB",
    ".beton": "FFCV",
}
WEIGHTS: Final = (".safetensors", ".pth", ".pth.tar", ".pt", ".pt2", ".bin", ".ckpt", ".t7", ".distcp", ".onnx", ".index.json", ".metadata")
"""What names of checkpoints' files end in."""
LOOKED_INTO: Final = 20
"""Folders in a folder in which weights are looked for."""
INSIDE: Final = 50
"""Folders in a folder that are looked into for something to offer."""
_ELSEWHERE: Final = frozenset(
    ["no-folder", "no-files", "no-classes", "no-labels", "no-manifest", "bad-manifest", "empty-split", "unreadable-dataset", "not-a-tar", "no-column"]
)
"""Codes of errors that another layout may be the answer to."""


@final
@dataclass(frozen=True)
class Reference:
    """What a user typed, as it is read.

    Args:
        kind: Of a layout; ``""`` for a card.
        location: A path, pattern or repository; of a card, its name or path.
        finding: Says what a plain path was taken for.
    """

    kind: str
    location: str
    finding: Finding | None = None

    @property
    def text(self) -> str:
        """As it is typed in full."""
        return f"{self.kind}:{self.location}" if self.kind else self.location


def read_reference(text: str) -> Reference:
    """What a reference stands for.

    Args:
        text: A card's name or path, ``KIND:LOCATION``, or a plain path or pattern.

    Raises:
        DatasetError: There is no such data set, or a path can be read in no way or in several.
    """
    kind, colon, location = text.partition(":")
    kind = ALIASES.get(kind, kind)
    if colon and location and kind in LAYOUTS:
        return Reference(kind, location if kind == "hub" else str(user_path(location)))
    if text in card_names() or text.endswith((".yaml", ".yml")):
        return Reference("", text)
    path = user_path(text)
    if text.strip() and (exists(path) or any(mark in text for mark in "*?{[")):
        return _recognised(text, path)
    raise _unknown(text, path)


def with_nearest(error: DatasetError, kind: str, location: str) -> DatasetError:
    """An error of a layout with the spelling that would work, where its path holds another layout, or one of nearly its name is there.

    Args:
        error: What the layout raised.
        kind: Of the layout.
        location: What it was to read.
    """
    path = user_path(location)
    if kind == "hub" or error.code not in _ELSEWHERE:
        return error
    if exists(path):
        inner = sub_folders(path)[:INSIDE] if is_folder(path) else []
        ways = [] if LAYOUTS[kind].recognise(path) else [f"{other}:{path}" for other, layout in LAYOUTS.items() if layout.recognise(path)]
        ways = ways or [f"{kind}:{child}" for child in inner if LAYOUTS[kind].recognise(child)][:2]
    else:
        ways = [f"{kind}:{child}" for child in _siblings(path)]
    return DatasetError(error.code, error.message, f"did you mean {' or '.join(ways)}? Else {error.hint}") if ways else error


def _recognised(text: str, path: Path) -> Reference:
    found = [(layout.kind, what) for layout in LAYOUTS.values() if (what := layout.recognise(path))]
    if len(found) == 1:
        kind, what = found[0]
        reference = f"{kind}:{path}"
        told = f"{text} is read as {reference}: {what}"
        return Reference(kind, str(path), Finding("dataset-recognised", told, f"write --dataset {reference} to say so yourself"))
    if found:
        ways = " or ".join(f"{kind}:{path} ({what})" for kind, what in found)
        raise DatasetError("ambiguous-dataset", f"{text} can be read in {len(found)} ways", f"choose one: {ways}")
    raise _unreadable(text, path)


def _unreadable(text: str, path: Path) -> DatasetError:
    """Why what is there is no data set that is read."""
    hint = "efficient360 list datasets shows what is read; see docs/datasets.md"
    ending = path.suffix.casefold()
    if not exists(path):
        return DatasetError("no-files", f"no file matches {text}", "check the path; quote the pattern so that the shell leaves it alone")
    if is_file(path) and ending in ARCHIVES:
        return DatasetError("unreadable-dataset", f"{text} is a packed archive", "unpack it, and give what is in it")
    if is_file(path) and ending in ENDINGS:
        return DatasetError("unreadable-dataset", f"{text} is a single image", f"give the folder of class folders: imagefolder:{path.parent.parent}")
    if is_file(path) and path.name.casefold().endswith(WEIGHTS):
        return _checkpoint(text)
    if is_file(path) and ending in UNREAD:
        return DatasetError("unreadable-dataset", f"{text} is {UNREAD[ending]}", "convert it to Parquet, .npz or class folders, or hand it over in Python")
    if is_file(path):
        idx = f"torchvision:{path.parent}" if LAYOUTS["torchvision"].recognise(path.parent) else ""
        return DatasetError("unreadable-dataset", f"{text} is a file of no kind that is read", f"did you mean {idx}?" if idx else hint)
    if is_folder(path):
        return _unreadable_folder(text, path, hint)
    return DatasetError("unreadable-dataset", f"{text} is neither a file nor a folder", hint)


def _unreadable_folder(text: str, path: Path, hint: str) -> DatasetError:
    try:
        LAYOUTS["imagefolder"].splits(str(path))
        images = images_in(path) if holds_image(path) else []
    except DatasetError as error:
        return error
    if holds_weights(path):
        return _checkpoint(text)
    lists = [child for child in sorted(path.iterdir()) if LAYOUTS["manifest"].recognise(child)]
    inside = [(kind, child) for child in sub_folders(path)[:INSIDE] for kind, layout in LAYOUTS.items() if layout.recognise(child)]
    if images and not lists:
        message = f"{text} holds {len(images)} images, and neither class folders nor a list of their labels"
        beside = [child for child in sorted(path.absolute().parent.iterdir()) if LAYOUTS["manifest"].recognise(child)]
        offer = f"did you mean manifest:{beside[0]}? Else sort" if beside else "sort"
        return DatasetError("no-labels", message, f"{offer} them into a folder for each class, or give a list: manifest:FILE")
    if lists:
        return DatasetError("unreadable-dataset", f"{text} is no data set by itself, but holds {_names(lists)}", f"did you mean manifest:{lists[0]}?")
    if inside:
        ways = " or ".join(f"{kind}:{child}" for kind, child in inside[:3])
        return DatasetError("unreadable-dataset", f"{text} is no data set by itself, but holds some", f"did you mean {ways}?")
    what = _names(sorted(path.iterdir())) or "nothing"
    return DatasetError("unreadable-dataset", f"{text} holds no data set that is read, but {what}", hint)


def holds_weights(folder: Path) -> bool:
    """Whether a folder, or one of the first folders in it, has a file whose name is that of weights.

    Raises:
        OSError: It can't be read.
    """
    inside = [*folder.iterdir()]
    below = (deeper for child in itertools.islice(filter(is_folder, inside), LOOKED_INTO) for deeper in child.iterdir())
    return any(path.name.casefold().endswith(WEIGHTS) for path in itertools.chain(inside, below))


def _checkpoint(text: str) -> DatasetError:
    return DatasetError("unreadable-dataset", f"{text} looks like a checkpoint, not like data", f"efficient360 evaluate {text} --dataset DATA")


def _unknown(text: str, path: Path) -> DatasetError:
    """A name that nothing has, with those nearest to it."""
    names = card_names()
    kind, colon, location = text.partition(":")
    offers = [name for name in names if plain(name) == plain(text)] or difflib.get_close_matches(text.casefold(), names, n=2, cutoff=0.6)
    offers = sorted(offers, key=lambda name: not name.startswith(f"{text.casefold()}-"))
    offers += [LAYOUTS[text].typed] if text in LAYOUTS else []
    if colon and (near := difflib.get_close_matches(kind.casefold(), [*LAYOUTS, *ALIASES], n=1, cutoff=0.6)):
        offers = [f"{ALIASES.get(near[0], near[0])}:{location}"]
    offers += [str(child) for child in _siblings(path)]
    if not offers and re.fullmatch(r"[\w.-]+/[\w.-]+", text) and not text.startswith("."):
        offers = [f"hub:{text}"]
    typed = ", ".join(layout.typed for layout in LAYOUTS.values())
    known = f"known: {', '.join(names)}; or {typed}, or a path to a card"
    hint = f"did you mean {' or '.join(offers)}? All that is read: efficient360 list datasets" if offers else known
    where = ""
    if "/" in text or text.startswith("~"):
        where = f": {path.parent} has nothing of that name" if is_folder(path.parent) else f": there is no folder {path.parent}"
    return DatasetError("unknown-dataset", f"there is no data set called {text!r}{where}", hint)


def _siblings(path: Path) -> list[Path]:
    """What lies where a path leads and has nearly its name."""
    if not is_folder(path.parent):
        return []
    try:
        names = [child.name for child in path.parent.iterdir() if not child.name.startswith(".")]
    except OSError:
        return []
    return [path.parent / name for name in difflib.get_close_matches(path.name, names, n=2, cutoff=0.75)]


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(f"{path.name}{'/' if path.is_dir() else ''}" for path in paths[:5]) + (" …" if len(paths) > 5 else "")
