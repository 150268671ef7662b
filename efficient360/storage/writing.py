"""Writing into a run's folder: what the system refuses (a full disk, a limit, no permission) is an error that says what is kept."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from efficient360.errors import RunError


@contextlib.contextmanager
def into(path: Path) -> Iterator[None]:
    """Within it, a file or folder is written.

    Raises:
        RunError: ``unwritable-run``: the system refuses it.
    """
    try:
        yield
    except OSError as error:
        hint = "free space, or choose another folder; what was stored before is kept, and the same command goes on from there"
        raise RunError("unwritable-run", f"{path} can't be written: {error.strerror or error}", hint) from error
