"""Columns of a layout of our own as a table, so that everything after it reads folders, tars, lists and Parquet files alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np


@final
@dataclass(frozen=True)
class ClassNames:
    """What a ``datasets.ClassLabel`` tells of a column: the names of its whole numbers."""

    names: Sequence[str]
    dtype: str = "int64"


@final
@dataclass(frozen=True)
class ColumnTable:
    """Rows as columns of equal length, indexed as a ``datasets.Dataset`` is. A column of images may read each when it is asked for.

    Args:
        columns: Cells by column.
        known: What is known of a column, where anything is: :class:`ClassNames`.
    """

    columns: Mapping[str, Sequence[Any]]
    known: Mapping[str, Any] = field(default_factory=dict)

    @property
    def column_names(self) -> list[str]:
        """The columns."""
        return list(self.columns)

    @property
    def features(self) -> dict[str, Any]:
        """What is known of each column, ``None`` where nothing is."""
        return {name: self.known.get(name) for name in self.columns}

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def select_columns(self, columns: Sequence[str]) -> "ColumnTable":
        """Some of the columns."""
        return ColumnTable({name: self.columns[name] for name in columns}, self.known)

    def __getitem__(self, key: Any) -> Any:
        """A column by name, or all columns of some rows."""
        if isinstance(key, str):
            return self.columns[key]
        chosen = range(len(self))[key] if isinstance(key, slice) else [int(i) for i in np.asarray(key)]
        return {name: [cells[i] for i in chosen] for name, cells in self.columns.items()}
