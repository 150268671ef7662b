"""What torchvision downloads: CIFAR's batches, read by an unpickler that knows plain arrays and nothing else, and the idx files of the MNIST family."""

import gzip
import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.paths import is_folder, user_path
from efficient360.datasets.card import Card
from efficient360.datasets.column_table import ClassNames, ColumnTable
from efficient360.datasets.layouts.layout import Layout
from efficient360.datasets.layouts.pixel_arrays import array_images
from efficient360.datasets.layouts.torchvision_binary import stl10, svhn
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.regular_files import read_file
from efficient360.errors import DatasetError

LARGEST: Final = 1 << 30
"""Bytes of a file; CIFAR-100's training batch has 155 million."""
_SPLITS: Final = {"test": "test", "train": "train"}
_IDX: Final = {"test": ("t10k", "test"), "train": ("train",)}


@final
@dataclass(frozen=True)
class _Collection:
    """One of the collections.

    Args:
        title: What it is.
        folder: Where its files are.
        read: The columns of a split, and the label column.
    """

    title: str
    folder: Path
    read: Callable[[Path, str], tuple[ColumnTable, str]]


@final
@dataclass(frozen=True)
class TorchvisionFiles(Layout):
    """A folder that torchvision downloaded to, or one of those in it."""

    kind: ClassVar[str] = "torchvision"
    typed: ClassVar[str] = "torchvision:DIR"
    summary: ClassVar[str] = "what torchvision downloads: CIFAR, the MNIST family, STL-10, SVHN"

    def recognise(self, path: Path) -> str:
        """As :class:`Layout`."""
        return ", ".join(f"{found.title} in {found.folder.name}" for found in _collections(path)) if is_folder(path) else ""

    def splits(self, location: str) -> Mapping[str, str]:
        """As :class:`Layout`."""
        _only(location)
        return _SPLITS

    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """As :class:`Layout`."""
        found = _only(location)
        table, label = found.read(found.folder, split)
        return OpenedTable(table, image="image", label=card.label or label)

    def files(self, location: str) -> list[Path]:
        """As :class:`Layout`."""
        return [file for file in _only(location).folder.iterdir() if file.is_file()]


def _collections(path: Path) -> list[_Collection]:
    found = []
    for folder in (path, path / "cifar-10-batches-py", path / "cifar-100-python"):
        if (folder / "test_batch").is_file():
            found.append(_Collection("CIFAR-10", folder, _cifar10))
        elif (folder / "test").is_file() and (folder / "meta").is_file():
            found.append(_Collection("CIFAR-100", folder, _cifar100))
    for folder in (path, path / "stl10_binary"):
        if (folder / "test_X.bin").is_file():
            found.append(_Collection("STL-10", folder, stl10))
    if (path / "test_32x32.mat").is_file():
        found.append(_Collection("SVHN", path, svhn))
    children = [child for child in sorted(path.iterdir()) if child.is_dir()]
    for folder in (path, path / "raw", *(child / "raw" for child in children), *(child for child in children if child.name != "raw")):
        if any(_idx_file(folder, "images", word) for word in ("t10k", "test")):
            found.append(_Collection("idx files", folder, _idx))
    return found


def _only(location: str) -> _Collection:
    folder = user_path(location)
    found = _collections(folder) if is_folder(folder) else []
    if len(found) == 1:
        return found[0]
    if found:
        choices = " or ".join(f"torchvision:{each.folder}" for each in found)
        raise DatasetError("ambiguous-folder", f"{folder} holds {len(found)} data sets", f"name one: {choices}")
    hint = (
        "give the folder that torchvision downloaded to: cifar-10-batches-py, cifar-100-python, stl10_binary, one with test_32x32.mat, or raw/ with idx files"
    )
    raise DatasetError("no-folder", f"{folder} holds none of the data sets that torchvision downloads", hint)


def _cifar10(folder: Path, split: str) -> tuple[ColumnTable, str]:
    batches = [_batch(folder / name) for name in (["test_batch"] if split == "test" else [f"data_batch_{i}" for i in range(1, 6)])]
    meta = folder / "batches.meta"
    names = _texts(_batch(meta).get("label_names")) if meta.is_file() else []
    columns = {"image": array_images(np.concatenate([_pixels(batch, folder) for batch in batches]), str(folder)), "label": _numbers(batches, "labels", folder)}
    return ColumnTable(columns, {"label": ClassNames(names)} if names else {}), "label"


def _cifar100(folder: Path, split: str) -> tuple[ColumnTable, str]:
    batches, meta = [_batch(folder / split)], _batch(folder / "meta")
    columns: dict[str, Any] = {"image": array_images(_pixels(batches[0], folder), str(folder))}
    known = {}
    for column in ("fine_label", "coarse_label"):
        columns[column] = _numbers(batches, f"{column}s", folder)
        known[column] = ClassNames(_texts(meta.get(f"{column}_names")))
    return ColumnTable(columns, known), "fine_label"  # what torchvision's own class takes


def _pixels(batch: Mapping[str, Any], folder: Path) -> NDArray[np.uint8]:
    data = batch.get("data")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2:
        raise DatasetError("unreadable-dataset", f"a batch in {folder} holds no array of images", "download it again")
    return data


def _numbers(batches: Sequence[Mapping[str, Any]], key: str, folder: Path) -> list[int]:
    labels = [label for batch in batches for label in batch.get(key, ())]
    if not labels or not all(isinstance(label, int) for label in labels):
        raise DatasetError("bad-label", f"the batches in {folder} hold no {key}", "download them again")
    return labels


def _texts(names: Any) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names] if isinstance(names, list) else []


def _batch(path: Path) -> dict[str, Any]:
    data = read_file(path, f"the batch {path}", LARGEST)
    try:
        batch = _PlainArrays(io.BytesIO(data), encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, ImportError, MemoryError) as error:
        raise DatasetError("unsafe-or-broken", f"{path} is no batch of plain arrays: {error}", "download it again with torchvision") from error
    if not isinstance(batch, dict):
        raise DatasetError("unreadable-dataset", f"{path} holds a {type(batch).__name__}, not a batch", "download it again with torchvision")
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in batch.items()}


def _empty_array(kind: type, shape: tuple[int, ...], _code: bytes) -> NDArray[Any]:
    """How NumPy begins an array in a pickle, whose size only its bytes then tell."""
    if kind is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError("an array that is not filled by its own bytes")
    return np.ndarray(0, dtype=np.int8)


def _dtype(code: Any, *_: Any) -> np.dtype[Any]:
    dtype = np.dtype(code.decode() if isinstance(code, bytes) else code)
    if dtype.kind not in "biuf":
        raise pickle.UnpicklingError(f"an array of {dtype}")
    return dtype


@final
class _PlainArrays(pickle.Unpickler):
    """Knows numbers, texts, lists, mappings, and arrays of numbers."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): _dtype}
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _empty_array
        if (module, name) == ("_codecs", "encode"):  # bytes in protocol 2 of Python 3
            return lambda text, encoding: text.encode("latin1") if encoding in ("latin1", b"latin1") else b""
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no plain array")
        return known[module, name]


def _idx(folder: Path, split: str) -> tuple[ColumnTable, str]:
    arrays = {}
    for what in ("images", "labels"):
        path = next((file for word in _IDX[split] if (file := _idx_file(folder, what, word)) is not None), None)
        if path is None:
            raise DatasetError("no-local-split", f"{folder} holds no idx file with the {what} of the split {split}", "download both splits")
        arrays[what] = read_idx(path)
    if len(arrays["images"]) != len(arrays["labels"]):
        message = f"{folder} holds {len(arrays['images'])} images and {len(arrays['labels'])} labels of the split {split}"
        raise DatasetError("lengths-differ", message, "download them again")
    return ColumnTable({"image": array_images(arrays["images"], str(folder)), "label": arrays["labels"].tolist()}), "label"


def _idx_file(folder: Path, what: str, word: str) -> Path | None:
    rank = 3 if what == "images" else 1
    names = [f"{word}-{what}{mark}idx{rank}-ubyte{packed}" for mark in ("-", ".") for packed in ("", ".gz")]
    exact = next((folder / name for name in names if (folder / name).is_file()), None)
    emnist = [file for name in names for file in (sorted(folder.glob(f"*-{name}")) if folder.is_dir() else ())]
    return exact or (emnist[0] if len(emnist) == 1 else None)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An idx file of bytes, plain or gzipped.

    Returns:
        uint8, of the shape that its header declares.

    Raises:
        DatasetError: It is none, or its header says more than it holds.
    """
    data = read_file(path, f"the idx file {path}", LARGEST)
    broken = "download it again"
    try:
        stream: Any = gzip.GzipFile(fileobj=io.BytesIO(data)) if data[:2] == b"\x1f\x8b" else io.BytesIO(data)
        head = stream.read(4)
        if len(head) < 4 or head[:3] != b"\0\0\x08":
            raise DatasetError("unreadable-dataset", f"{path} is no idx file of bytes", broken)
        shape = tuple(int.from_bytes(stream.read(4), "big") for _ in range(head[3]))
        size = int(np.prod([float(side) for side in shape]))
        if size > LARGEST:
            raise DatasetError("array-oversized", f"the header of {path} says {size:,} bytes", broken)
        body = stream.read(size)
    except (OSError, EOFError) as error:
        raise DatasetError("unreadable-dataset", f"{path} can't be unpacked: {error}", broken) from error
    if len(body) != size:
        raise DatasetError("unreadable-dataset", f"{path} holds {len(body):,} bytes where its header says {size:,}", broken)
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
