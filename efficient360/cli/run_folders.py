"""Folders of runs as commands read them."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def load(folders: Iterable[Path], plugins: Sequence[Path]) -> list[Any]:
    """The reports in folders of runs, each a :class:`~efficient360.reports.run_report.RunReport`; a word on the standard error of what can't be read of them.

    Raises:
        RunError: A folder holds no run.
    """
    from efficient360 import api

    runs = [api.load_report(folder, plugins) for folder in folders]
    for run in runs:
        warn_of_unreadable_lines(run.folder)
    return runs


def warn_of_unreadable_lines(folder: Path) -> None:
    """Say how many stored outcomes can't be read, on the standard error, if any."""
    from efficient360.execution.progress import unreadable_lines
    from efficient360.storage.outcomes import Store

    store = Store(folder)
    if count := store.corrupt_lines():
        print(f"efficient360: {unreadable_lines(count, str(store.path))}", file=sys.stderr)
