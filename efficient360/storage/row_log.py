"""A file of fixed-width rows that only grows. After a kill at any moment the whole rows in it are right, and a torn last one is cut off."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.storage.writing import into


@final
@dataclass(frozen=True)
class RowLog:
    """Rows of ``width`` numbers in a file.

    Plain reads and writes rather than a memory map: memory stays flat however long the file grows.

    Args:
        path: The file; its folder exists.
        width: Numbers a row, at least 1.
        dtype: ``float32`` or ``float64``.
    """

    path: Path
    width: int
    dtype: str = "float32"

    @property
    def _row_bytes(self) -> int:
        return self.width * np.dtype(self.dtype).itemsize

    def __len__(self) -> int:
        return self.path.stat().st_size // self._row_bytes if self.path.exists() else 0

    def truncate(self, rows: int) -> None:
        """Keep the first ``rows`` rows, and cut off a torn one."""
        if self.path.exists():
            with into(self.path), self.path.open("r+b") as file:
                file.truncate(min(rows, len(self)) * self._row_bytes)

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows, shape ``(b, width)``.

        Raises:
            ValueError: The rows are of another width.
            RunError: The file can't be written; a torn row is cut off by the next pass.
        """
        block = np.ascontiguousarray(rows, dtype=self.dtype)
        if block.ndim != 2 or block.shape[1] != self.width:
            raise ValueError(f"rows of shape {block.shape} don't fit a log of width {self.width}")
        with into(self.path), self.path.open("ab") as file:
            file.write(block.tobytes())

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows ``start`` to ``stop``, shape ``(stop - start, width)``."""
        count = max(0, min(stop, len(self)) - start)
        if not count:
            return np.empty((0, self.width), dtype=self.dtype)
        flat = np.fromfile(self.path, dtype=self.dtype, count=count * self.width, offset=start * self._row_bytes)
        return flat.reshape(count, self.width)

    def take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """The rows at these places, shape ``(len(rows), width)``; consecutive ones are read at once."""
        ends = np.flatnonzero(np.diff(rows) != 1) + 1
        runs = [run for run in np.split(rows, ends) if len(run)]
        return np.concatenate([self.read(int(run[0]), int(run[-1]) + 1) for run in runs]) if runs else self.read(0, 0)
