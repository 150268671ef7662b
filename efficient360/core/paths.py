"""Paths: those that a user types, and file names made of names that somebody else chose."""

import hashlib
import os
from pathlib import Path
from typing import Final

from efficient360.errors import SettingsError

LONGEST_PATH: Final = 4096
LONGEST_PART: Final = 255
LONGEST_NAME: Final = 120
"""Bytes of a file name made of a name, of the 255 that file systems allow: the rest is for suffixes."""


def file_name(name: str, otherwise: str = "unnamed") -> str:
    """A name from a card, a report or a plug-in as one part of a path: never a folder, never hidden, never an option, never too long.

    Letters, digits, ``.``, ``_`` and ``-`` stay; everything else becomes ``_``. A name that is cut off ends in a digest of the whole.

    Args:
        name: The name.
        otherwise: What to call it when nothing of the name is left.
    """
    kept = "".join(c if c.isalnum() or c in "._-" else "_" for c in name).strip("._-") or otherwise
    if len(kept.encode()) <= LONGEST_NAME:
        return kept
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return kept.encode()[: LONGEST_NAME - 9].decode(errors="ignore") + f"-{digest}"


def user_path(text: str | Path) -> Path:
    """The path that a user typed, with ``~`` and ``~name`` at its beginning replaced by that home, where there is such a home."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path's own raises where there is no such home


def possible_path(text: str | Path) -> Path:
    """:func:`user_path` of a path that some file system takes.

    Raises:
        SettingsError: It is longer than any takes, or has a null character.
    """
    path = user_path(text)
    if "\0" in str(path) or len(os.fsencode(path)) > LONGEST_PATH or any(len(os.fsencode(part)) > LONGEST_PART for part in path.parts):
        raise SettingsError("bad-path", f"the path {str(path)!r} is longer than a file system takes, or has a null character", "check the path")
    return path


def is_file(path: Path) -> bool:
    """Whether a file is there; also for names that no file system takes, for which ``Path.is_file`` raises."""
    return os.path.isfile(path)  # noqa: PTH113


def exists(path: Path) -> bool:
    """Whether anything is there, likewise."""
    return os.path.exists(path)  # noqa: PTH110


def is_folder(path: Path) -> bool:
    """Whether a folder is there, likewise."""
    return os.path.isdir(path)  # noqa: PTH112


def entries(folder: Path) -> tuple[Path, ...]:
    """What a folder holds, sorted; nothing where it can't be read."""
    try:
        return tuple(sorted(folder.iterdir()))
    except OSError:
        return ()
