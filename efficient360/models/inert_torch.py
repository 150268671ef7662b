"""A file of ``torch.save`` read without running anything of it, where torch's own reader of weights refuses it for values beside the weights."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch
from torch import Tensor

from efficient360.models.inert_pickle import InertUnpickler
from efficient360.models.inert_values import Storage, Values
from efficient360.models.torch_archive import ARCHIVE

_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""With which the files begin that ``torch.save`` wrote before 2020."""


def read_inert(path: Path, head: bytes) -> Any:
    """What a file of ``torch.save``, of which :func:`efficient360.models.torch_archive.require_sound` has no complaint, or a plain pickle holds.

    Args:
        path: The file.
        head: Its first bytes.

    Returns:
        As of :meth:`efficient360.models.inert_values.Values.of`.

    Raises:
        UnpicklingError: It needs a type that doesn't only hold values: ``GLOBAL name``.
        ValueError: It is damaged.
    """
    try:
        return _archive(path) if head.startswith(ARCHIVE) else _stream(path)
    except (pickle.UnpicklingError, ValueError):
        raise
    except (EOFError, OSError, RuntimeError, TypeError, KeyError, IndexError, AttributeError, AssertionError, MemoryError, zipfile.BadZipFile) as error:
        # Damaged bytes make the reader fail in any of these ways.
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        top = next((name.removesuffix("data.pkl") for name in names if name.endswith("data.pkl") and name.count("/") <= 1), None)
        if top is None:
            raise ValueError("an archive of something else")
        if f"{top}byteorder" in names and archive.read(f"{top}byteorder") not in (b"little", b""):
            raise ValueError("its numbers are big-endian")
        storages: dict[str, Tensor] = {}

        def read(storage: Storage) -> Tensor:
            if storage.key not in storages:
                storages[storage.key] = _elements(bytearray(archive.read(f"{top}data/{storage.key}")), storage)
            return storages[storage.key]

        return _values(io.BytesIO(archive.read(f"{top}data.pkl")), read)


def _stream(path: Path) -> Any:
    """An older file: a magic number, the protocol, the system, the object, the storages' keys, the storages; or a pickle of the object alone."""
    with path.open("rb") as file:
        first = _unpickled(file)
        if first != _MAGIC:
            return Values(_no_storage).of(first)
        _unpickled(file), _unpickled(file)
        seen: dict[str, Storage] = {}
        held = _unpickled(file, lambda pid: _seen(Storage.of(pid), seen))
        storages: dict[str, Tensor] = {}
        for key in _unpickled(file):
            storage = seen[key]
            if int.from_bytes(file.read(8), "little") != storage.count:
                raise ValueError("a storage of another length than its tensors name")
            storages[key] = _elements(bytearray(file.read(storage.count * storage.dtype.itemsize)), storage)
        return Values(lambda storage: storages[storage.key]).of(held)


def _seen(storage: Storage, seen: dict[str, Storage]) -> Storage:
    if seen.setdefault(storage.key, storage) != storage:
        raise ValueError("a storage of two kinds")
    return storage


def _values(file: BinaryIO, read: Callable[[Storage], Tensor]) -> Any:
    return Values(read).of(_unpickled(file, Storage.of))


def _unpickled(file: BinaryIO, persistent: Callable[[Any], Any] | None = None) -> Any:
    return InertUnpickler(file, persistent or _no_storage).load()


def _no_storage(_: Any) -> Any:
    raise ValueError("a tensor without a storage")


def _elements(data: bytearray, storage: Storage) -> Tensor:
    if len(data) != storage.count * storage.dtype.itemsize:
        raise ValueError(f"{len(data)} bytes in place of {storage.count * storage.dtype.itemsize}")
    return torch.frombuffer(data, dtype=storage.dtype) if data else torch.empty(0, dtype=storage.dtype)
