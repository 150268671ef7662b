"""Parquet files looked at before they are read: what they are, which columns they have, and a digest of what they hold."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from efficient360.datasets.regular_files import require_regular
from efficient360.errors import DatasetError

_CHUNK = 1 << 22


@final
@dataclass(frozen=True)
class ParquetContent:
    """What Parquet files hold.

    Args:
        digest: SHA-256 over their bytes in order, 24 hexadecimal digits.
        columns: Names of the first file's columns.
    """

    digest: str
    columns: Sequence[str]


def require_parquet(files: Sequence[Path], what: str) -> ParquetContent:
    """Look at Parquet files.

    Args:
        files: In order, at least one.
        what: What to call them in an error.

    Raises:
        DatasetError: One is no regular file, can't be read, or is no Parquet.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import read_schema

    state = hashlib.sha256()
    for file in files:
        require_regular(file, f"{file} among {what}")
        try:
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    state.update(chunk)
        except OSError as error:
            raise DatasetError("unreadable-dataset", f"{file} can't be read: {error.strerror}", "check its permissions") from error
        state.update(b"\0")
    try:
        return ParquetContent(state.hexdigest()[:24], read_schema(files[0]).names)
    except (OSError, ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatasetError("unreadable-dataset", f"{what} can't be read: {reason}", "see docs/datasets.md for the layouts that are read") from error
