"""A matrix's folder: cells that are only ever appended, raw times beside them, artefacts that come and go."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from efficient360.benchmark.cells import BenchmarkCell, from_json, to_json
from efficient360.errors import RunError
from efficient360.storage.json_lines import JsonLines

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

    def append(self, cells: Sequence[BenchmarkCell]) -> None:
        """Add cells; a kill in the middle loses at most those being written."""
        self._cells.append(to_json(cell) for cell in cells)

    def append_samples(self, name: str, rows: Iterable[Mapping[str, Any]]) -> str:
        """Add raw times to a file and tell its name relative to the folder."""
        file = f"{SAMPLES}/{name}.jsonl"
        JsonLines(self.folder / file).append(rows)
        return file

    def cells(self) -> list[BenchmarkCell]:
        """All whole cells in the order they were stored, of one key only the newest.

        Raises:
            RunError: The folder holds no cells.
        """
        if not self._cells.path.is_file():
            raise RunError("no-cells", f"{self.folder} holds no measured cells", "name models with --models to measure some")
        return list(self.finished().values())

    def finished(self) -> dict[str, BenchmarkCell]:
        """Stored cells by key, of one key the newest; empty for a new folder."""
        cells = [_parsed(row) for row in self._cells.read().objects]
        return {cell.key: cell for cell in cells if cell is not None}

    def corrupt_lines(self) -> int:
        """How many lines of the file hold no cell: torn by a kill, or damaged."""
        read = self._cells.read()
        return read.corrupt + sum(_parsed(row) is None for row in read.objects)

    @property
    def _cells(self) -> JsonLines:
        return JsonLines(self.folder / CELLS)


def _parsed(row: Mapping[str, Any]) -> BenchmarkCell | None:
    try:
        return from_json(row)
    except (ValueError, TypeError, KeyError):
        return None
