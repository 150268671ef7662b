"""A listed image folder as a table, so that everything after it reads folders and Parquet files alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from efficient360.datasets.folder_listing import Listing


@final
@dataclass(frozen=True)
class ClassNames:
    """What a ``datasets.ClassLabel`` tells of a column: the names of its whole numbers."""

    names: Sequence[str]
    dtype: str = "int64"


@final
@dataclass(frozen=True)
class FolderTable:
    """The images of a folder as rows: columns ``image`` (``{"path"}``, undecoded), ``label`` and ``id``.

    Args:
        listing: What the folder holds.
    """

    listing: Listing

    @property
    def column_names(self) -> list[str]:
        """The columns."""
        return ["image", "label", "id"]

    @cached_property
    def features(self) -> dict[str, Any]:
        """What is known of each column."""
        return {"image": None, "label": ClassNames(self.listing.classes), "id": None}

    def __len__(self) -> int:
        return len(self.listing.files)

    def select_columns(self, _columns: Sequence[str]) -> "FolderTable":
        """The same: nothing is read before it is asked for."""
        return self

    def __getitem__(self, key: Any) -> Any:
        """A column by name, or all columns of some rows."""
        if isinstance(key, str):
            return self[:][key]
        chosen = range(len(self))[key] if isinstance(key, slice) else [int(i) for i in np.asarray(key)]
        return {
            "image": [{"bytes": None, "path": self.listing.files[i]} for i in chosen],
            "label": [self.listing.labels[i] for i in chosen],
            "id": [self.listing.ids[i] for i in chosen],
        }
