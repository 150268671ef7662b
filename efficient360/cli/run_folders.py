"""Folders of runs as commands read them."""

import sys
from pathlib import Path


def warn_of_unreadable_lines(folder: Path) -> None:
    """Say how many stored outcomes can't be read, on the standard error, if any."""
    from efficient360.execution.progress import unreadable_lines
    from efficient360.storage.outcomes import Store

    store = Store(folder)
    if count := store.corrupt_lines():
        print(f"efficient360: {unreadable_lines(count, str(store.path))}", file=sys.stderr)
