"""Identities of data: stable ids of examples, and a digest that changes when local files do."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def ids_of(table: Any, split: str) -> list[str]:
    """An id for each row: its ``id`` column where every value is different (in an image folder, the paths in it), else split and row.

    Args:
        table: A ``datasets.Dataset`` whose image column is left encoded.
        split: Our name of the split.
    """
    if "id" in table.column_names:
        ids = [str(value) for value in table["id"]]
        if len(set(ids)) == len(ids):
            return ids
    width = len(str(len(table) - 1))
    return [f"{split}/{i:0{width}d}" for i in range(len(table))]


def stamp(card: Any, files: Iterable[Path]) -> str:
    """SHA-256 over an entry of a card, plain JSON, and the path, size and times of files: of the last change of all that a copy can't set back too."""
    stats = sorted((str(file), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for file in files for stat in [file.stat()])
    return hashlib.sha256(json.dumps([card, stats]).encode()).hexdigest()
