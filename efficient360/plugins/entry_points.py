"""Entry points of installed packages."""

import sys
from pathlib import Path
from typing import Any


def points(group: str) -> list[Any]:
    """The entry points of a group, ``importlib.metadata.EntryPoint`` each.

    ``importlib.metadata`` takes longer to import than all the rest of a listing, so it is asked only where some installed package names the group.
    """
    if not any(f"[{group}]" in file.read_text(encoding="utf-8", errors="replace") for root in sys.path for file in _declarations(root)):
        return []
    from importlib import metadata

    return list(metadata.entry_points(group=group))


def _declarations(root: str) -> list[Path]:
    folder = Path(root or ".")
    return [*folder.glob("*-info/entry_points.txt")] if folder.is_dir() else []
