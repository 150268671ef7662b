"""A matrix's folder: cells that are only ever appended, raw times beside them, artefacts that come and go."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.benchmark.cells import Cell, from_json, to_json
from efficient360.errors import RunError

CELLS = "cells.jsonl"
SAMPLES = "samples"
ARTEFACTS = "artefacts"
IGNORED = f"{ARTEFACTS}/\nwork/\n"


@final
@dataclass(frozen=True)
class CellStore:
    """The stored cells of a matrix.

    Args:
        folder: Where they lie; made by :meth:`prepare`.
    """

    folder: Path

    @property
    def artefacts(self) -> Path:
        """Folder of programs and artefacts; git passes it over."""
        return self.folder / ARTEFACTS

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            RunError: It can't be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / ".gitignore").write_text(IGNORED, encoding="utf-8")
        except OSError as error:
            raise RunError("unwritable-folder", f"{self.folder} can't be written: {error.strerror}", "choose another folder with --out") from error

    def append(self, cells: Sequence[Cell]) -> None:
        """Add cells. A kill in the middle leaves whole lines and at most one torn one, which readers pass over."""
        self._append(CELLS, [to_json(cell) for cell in cells])

    def append_samples(self, name: str, rows: Iterable[Mapping[str, Any]]) -> str:
        """Add raw times to a file and tell its name relative to the folder."""
        (self.folder / SAMPLES).mkdir(exist_ok=True)
        self._append(f"{SAMPLES}/{name}.jsonl", rows)
        return f"{SAMPLES}/{name}.jsonl"

    def cells(self) -> list[Cell]:
        """All whole cells in the order they were stored, of one key only the newest.

        Raises:
            RunError: The folder holds no cells.
        """
        path = self.folder / CELLS
        if not path.is_file():
            raise RunError("no-cells", f"{self.folder} holds no measured cells", "name models with --models to measure some")
        return self._read(path)

    def finished(self) -> dict[str, Cell]:
        """Stored cells by key; empty for a new folder."""
        path = self.folder / CELLS
        return {cell.key: cell for cell in self._read(path)} if path.is_file() else {}

    def _read(self, path: Path) -> list[Cell]:
        found: dict[str, Cell] = {}
        for line in path.read_bytes().split(b"\n"):
            cell = _parsed(line)
            if cell is not None:
                found[cell.key] = cell
        return list(found.values())

    def _append(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n" for row in rows)
        with (self.folder / name).open("a+b") as file:
            if file.tell() and not _ends_whole(file):
                file.write(b"\n")  # a kill tore the last line: the next one starts afresh
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


def _ends_whole(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    whole: bool = file.read(1) == b"\n"
    return whole


def _parsed(line: bytes) -> Cell | None:
    try:
        return from_json(json.loads(line))
    except (ValueError, TypeError, KeyError):
        return None
