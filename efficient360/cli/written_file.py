"""A file that a command writes beside what it prints."""

from pathlib import Path

from efficient360.errors import SettingsError


def write_file(path: Path, contents: bytes) -> None:
    """Write a file, and the folders it lies in.

    Raises:
        SettingsError: The system refuses it (``bad-option``).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
    except OSError as error:
        raise SettingsError("bad-option", f"{path} can't be written: {error.strerror}", "name a file in a folder of yours") from error
