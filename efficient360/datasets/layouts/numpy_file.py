"""NumPy archives: arrays of images and labels by their usual names, as Keras, MedMNIST and downsampled ImageNet have them. Nothing is unpickled."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np
import psutil
from numpy.typing import NDArray

from efficient360.core.paths import user_path
from efficient360.datasets.card import Card
from efficient360.datasets.column_table import ColumnTable
from efficient360.datasets.columns import plain
from efficient360.datasets.layouts.layout import Layout
from efficient360.datasets.layouts.pixel_arrays import array_images
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.regular_files import require_regular
from efficient360.datasets.split_names import NAMES, WHOLE, named_splits
from efficient360.errors import DatasetError

IMAGES: Final = ("x", "images", "image", "data", "imgs", "pixels", "features", "arr0")
LABELS: Final = ("y", "labels", "label", "targets", "target", "classes", "arr1")


@final
@dataclass(frozen=True)
class _Pair:
    """The arrays of a split."""

    images: str
    labels: str


@final
@dataclass(frozen=True)
class NumpyFile(Layout):
    """An ``.npz`` file."""

    kind: ClassVar[str] = "npz"
    typed: ClassVar[str] = "npz:FILE"
    summary: ClassVar[str] = "a NumPy .npz with arrays of images and labels (x_test and y_test, images and labels …)"

    def recognise(self, path: Path) -> str:
        """As :class:`Layout`."""
        return "a NumPy archive" if path.suffix.casefold() == ".npz" else ""

    def splits(self, location: str) -> Mapping[str, str]:
        """As :class:`Layout`."""
        pairs = _pairs(user_path(location))
        return {WHOLE: ""} if list(pairs) == [""] else named_splits([name for name in pairs if name])

    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """As :class:`Layout`."""
        path = user_path(location)
        pair = _Pair(card.image, card.label) if card.image and card.label else _pairs(path)[split]
        pair = _Pair(card.image or pair.images, card.label or pair.labels)
        arrays = _read(path, [pair.images, pair.labels, *card.groups])
        images = array_images(arrays[pair.images], f"{pair.images} in {path}")
        columns: dict[str, Any] = {pair.images: images}
        for name in (pair.labels, *card.groups):
            if len(arrays[name]) != len(images):
                message = f"{path} holds {len(images)} images in {pair.images!r} and {len(arrays[name])} values in {name!r}"
                raise DatasetError("lengths-differ", message, "give one for each image")
            columns[name] = arrays[name].tolist()
        return OpenedTable(ColumnTable(columns), image=pair.images, label=pair.labels)

    def files(self, location: str) -> list[Path]:
        """As :class:`Layout`."""
        return [user_path(location)]


def _pairs(path: Path) -> dict[str, _Pair]:
    """The pairs of images and labels by split, ``""`` for the only one."""
    names = _names(path)
    found: dict[str, _Pair] = {}
    spellings = [("", "")] + [(kind, word) for kind, words in NAMES.items() for word in words]
    for split, word in spellings:
        forms = {plain(name): name for name in names}
        image = next((forms[form] for usual in IMAGES for form in (usual + word, word + usual) if form in forms), None)
        label = next((forms[form] for usual in LABELS for form in (usual + word, word + usual) if form in forms), None)
        if image is not None and label is not None and split not in found:
            found[split] = _Pair(image, label)
    if not found:
        hint = "call them images and labels, or x_test and y_test, or name them with --image-column and --label-column"
        raise DatasetError("no-column", f"which arrays of {path} are images and labels can't be told; it holds {', '.join(names) or 'none'}", hint)
    return found


def _names(path: Path) -> list[str]:
    require_regular(path, f"the archive {path}")
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(entry.file_size for entry in archive.infolist())
            free = psutil.virtual_memory().available
            if declared > free:
                raise DatasetError("array-oversized", f"the arrays of {path} take {declared:,} bytes, and {free:,} are free", "give fewer images in a file")
            return [entry.filename.removesuffix(".npy") for entry in archive.infolist() if entry.filename.endswith(".npy")]
    except (zipfile.BadZipFile, OSError) as error:
        raise DatasetError("unreadable-dataset", f"{path} can't be read as a NumPy archive: {error}", "write it with numpy.savez") from error


def _read(path: Path, wanted: list[str]) -> dict[str, NDArray[Any]]:
    names = _names(path)
    missing = next((name for name in wanted if name not in names), None)
    if missing is not None:
        raise DatasetError("no-column", f"{path} has no array {missing!r}", f"its arrays are: {', '.join(names)}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in wanted}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise DatasetError("unreadable-dataset", f"{path} can't be read: {' '.join(str(error).split())[:200]}", "save plain arrays, without objects") from error
