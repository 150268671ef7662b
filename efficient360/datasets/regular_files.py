"""Files of a data set, read without trusting what they are: pipes, devices and dead links are named, never waited for."""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from efficient360.errors import DatasetError


def require_regular(path: Path, what: str) -> None:
    """Look at a file before it is opened; links are followed.

    Args:
        path: The file.
        what: What to call it in an error.

    Raises:
        DatasetError: It isn't there, or is a pipe, a device, a socket or a folder.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        reason = "is a link that leads nowhere" if path.is_symlink() else f"can't be read: {error.strerror}"
        raise DatasetError("missing-image", f"{what} {reason}", "restore the file, or remove it from the data") from error
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
        kind = next((name for test, name in kinds if test(mode)), "a device")
        raise DatasetError("not-a-file", f"{what} is {kind}, not a file", "remove it from the data")


def read_file(path: Path, what: str, most: int | None = None) -> bytes:
    """The bytes of a regular file.

    Args:
        path: The file.
        what: What to call it in an error.
        most: How many bytes at most; ``None`` for all.

    Raises:
        DatasetError: As :func:`require_regular`, or it can't be read.
    """
    require_regular(path, what)
    try:
        # Between the look and the opening it may have become a pipe: opening one without a writer must not wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read() if most is None else file.read(most)
    except OSError as error:
        raise DatasetError("missing-image", f"{what} can't be read: {error.strerror}", "restore the file or its permissions, then run again") from error


def path_within(path: str, roots: Sequence[Path], example: str) -> Path:
    """The file that a row names by path: in one of the data's own folders, whatever the row says.

    Args:
        path: As the row has it, absolute or relative to a root.
        roots: The data's folders, resolved; empty trusts the path.
        example: Id of the row, for messages.

    Raises:
        DatasetError: It is outside all of them.
    """
    if not roots:
        return Path(path)
    inside = [file for root in roots if (file := root / path).resolve().is_relative_to(root)]
    if not inside:
        message = f"example {example} names the image file {path!r}, which is outside the data's own folder {roots[0]}"
        raise DatasetError("path-outside", message, "put the images beside the Parquet files, or into them")
    return next((file for file in inside if file.exists()), inside[0])


def image_bytes(cell: Any, roots: Sequence[Path], example: str) -> bytes:
    """An image as it is stored: the cell of a table itself, or the file that it names.

    Args:
        cell: Bytes, ``{"bytes", "path"}``, or a path.
        roots: As :func:`path_within`.
        example: Id of the row, for messages.

    Raises:
        DatasetError: There is none, or the file can't be read.
    """
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, Mapping) and cell.get("bytes") is not None:
        return bytes(cell["bytes"])
    path = cell.get("path") if isinstance(cell, Mapping) else cell
    if isinstance(path, str) and path:
        return read_file(path_within(path, roots, example), f"the image file of example {example}")
    raise DatasetError("missing-image", f"example {example} has no image", "repair or remove it; an example is never skipped in silence")
