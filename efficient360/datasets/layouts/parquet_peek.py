"""Parquet files looked into where they lie: nothing is copied, and of images only the row groups asked for are read."""

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from efficient360.datasets.column_table import ColumnTable
from efficient360.datasets.regular_files import require_regular
from efficient360.errors import DatasetError


@final
@dataclass(frozen=True)
class GroupCells:
    """The cells of a column, read by row groups.

    Args:
        groups: File and index of each row group.
        ends: Number of rows up to the end of each.
        column: Its name.
        kept: The row group that was read last.
    """

    groups: Sequence[tuple[str, int]]
    ends: Sequence[int]
    column: str
    kept: dict[int, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, i: int) -> Any:
        """One cell."""
        from pyarrow.parquet import ParquetFile

        place = bisect.bisect_right(self.ends, i)
        if place not in self.kept:
            file, group = self.groups[place]
            self.kept.clear()
            self.kept[place] = ParquetFile(file).read_row_group(group, columns=[self.column]).column(self.column).to_pylist()
        return self.kept[place][i - (self.ends[place - 1] if place else 0)]


def peek(files: Sequence[Path], what: str) -> ColumnTable:
    """The rows of Parquet files.

    Args:
        files: In order, at least one.
        what: What to call them in an error.

    Raises:
        DatasetError: One is no regular file, or no Parquet.
    """
    from pyarrow import ArrowException, types
    from pyarrow.parquet import ParquetFile, read_table

    from datasets import Features

    for file in files:
        require_regular(file, f"{file} among {what}")
    try:
        opened = [ParquetFile(file) for file in files]
        schema = opened[0].schema_arrow
        sizes = [(str(f), g, part.metadata.row_group(g).num_rows) for f, part in zip(files, opened, strict=True) for g in range(part.num_row_groups)]
        groups, ends = [(file, group) for file, group, _ in sizes], list(itertools.accumulate(rows for *_, rows in sizes))
        known = {name: feature for name, feature in Features.from_arrow_schema(schema).items() if getattr(feature, "names", None)}
        columns: dict[str, Any] = {}
        for column in schema:
            heavy = types.is_binary(column.type) or types.is_large_binary(column.type) or types.is_nested(column.type)
            is_list = types.is_list(column.type) and types.is_primitive(column.type.value_type)
            cells = [] if heavy and not is_list else [cell for file in files for cell in read_table(file, columns=[column.name]).column(0).to_pylist()]
            columns[column.name] = cells if not heavy or is_list else GroupCells(groups, ends, column.name)
    except (OSError, ArrowException) as error:
        raise DatasetError("unreadable-dataset", f"{what} can't be read: {' '.join(str(error).split())[:200]}", "see docs/datasets.md") from error
    return ColumnTable(columns, known)


def rows_of(files: Sequence[Path]) -> int:
    """How many rows Parquet files hold, by what they say of themselves."""
    from pyarrow.parquet import ParquetFile

    return sum(ParquetFile(file).metadata.num_rows for file in files)
