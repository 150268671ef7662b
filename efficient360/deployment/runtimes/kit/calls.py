"""What a program is called with: images of an ``.npy``, a batch at a time; or the named arrays of an ``.npz``, calls along their first axis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def named(file: Any) -> bool:
    """Whether a file that ``np.load`` opened has named arrays."""
    return isinstance(file, np.lib.npyio.NpzFile)


def each(file: Any) -> "Iterator[dict[str, NDArray[Any]]]":
    """The calls of a file with named arrays, in order."""
    arrays = {name: file[name] for name in file.files}
    for index in range(len(next(iter(arrays.values())))):
        yield {name: np.ascontiguousarray(array[index]) for name, array in arrays.items()}


def first(file: Any, batch: int) -> Any:
    """The first call: ``batch`` images, repeated where there are fewer, or the first of the named arrays."""
    if named(file):
        return next(each(file))
    images = np.resize(file, (max(batch, len(file)), *file.shape[1:]))
    return images[:batch]


def write(path: str, answers: "list[dict[str, NDArray[Any]]]") -> None:
    """Named arrays of several calls, calls along a new first axis, into a file of exactly this name."""
    arrays: dict[str, Any] = {name: np.stack([answer[name] for answer in answers]) for name in answers[0]}
    with Path(path).open("wb") as file:
        np.savez(file, **arrays)
