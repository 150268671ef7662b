"""An append-only file of JSON objects, one a line. A kill at any moment leaves whole lines and at most one torn one, which readers skip."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from efficient360.core.parsing import parse_json
from efficient360.core.paths import exists
from efficient360.core.reading import MEBIBYTE, Reader
from efficient360.errors import RunError
from efficient360.storage.writing import into

_READER: Final = Reader(RunError, "unreadable-run", "move it away; a new one is begun in its place", limit=4096 * MEBIBYTE)


@final
@dataclass(frozen=True)
class LinesRead:
    """What one pass over the file yielded.

    Args:
        objects: The JSON objects, in file order.
        corrupt: Number of lines, ended by a newline, that hold no JSON object.
        end: Byte offset at which the next pass goes on. An unfinished last line stands after it, as another process may still be writing it.
    """

    objects: list[dict[str, Any]]
    corrupt: int
    end: int


@final
@dataclass(frozen=True)
class JsonLines:
    """JSON objects in a file that only grows.

    Args:
        path: The file; it and its folder are made by the first :meth:`append`.
    """

    path: Path

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add one line per row in a single write, and wait until they are on disk.

        Raises:
            ValueError: A row holds NaN or an infinity; nothing is written.
            RunError: The file can't be written; it holds what it held before.
        """
        lines = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n" for row in rows)
        with into(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a+b", buffering=0) as file:
                end = file.seek(0, os.SEEK_END)
                separator = "" if self._ends_with_newline() else "\n"  # after a torn last line the next one starts afresh
                try:
                    data = memoryview((separator + lines).encode("utf-8", "replace"))
                    while data:
                        data = data[file.write(data) :]
                    os.fsync(file.fileno())
                except OSError:  # a full disk takes the first part of a line
                    file.truncate(end)
                    raise

    def read(self, start: int = 0) -> LinesRead:
        """The objects from byte ``start`` on: 0, or the ``end`` of an earlier pass. A file that does not exist holds none.

        Raises:
            RunError: It can't be read.
        """
        if not exists(self.path):
            return LinesRead([], 0, start)
        with _READER.open(self.path) as file:
            file.seek(start)
            data = file.read()
        *lines, unfinished = data.split(b"\n")
        parsed = [_parse(line) for line in lines if line]
        objects = [row for row in parsed if row is not None]
        end = start + len(data) - len(unfinished)
        if (last := _parse(unfinished)) is not None:  # whole but for its newline
            objects.append(last)
            end += len(unfinished)
        return LinesRead(objects, parsed.count(None), end)

    def _ends_with_newline(self) -> bool:
        """Whether the file is empty or its last byte is a newline."""
        if not self.path.stat().st_size:
            return True
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = parse_json(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None
