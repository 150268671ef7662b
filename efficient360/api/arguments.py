"""What arguments of several functions become: specifications, plain values, names; and what is refused of them before any work."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from efficient360.core.paths import possible_path
from efficient360.core.reading import shown
from efficient360.datasets.layouts.catalogue import ALIASES, LAYOUTS
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import SettingsError
from efficient360.models.checkpoint import Preprocessing


def preprocessing_values(preprocessing: Preprocessing | Mapping[str, Any] | None) -> dict[str, Any]:
    """A preprocessing, or some of its values, as plain data."""
    return dataclasses.asdict(preprocessing) if isinstance(preprocessing, Preprocessing) else dict(preprocessing or {})


def require_in_range(numbers: Mapping[str, tuple[int | None, int, int]]) -> None:
    """Refuse whole numbers out of their range, given by argument with the least and the most.

    Raises:
        SettingsError: ``bad-option``.
    """
    for name, (value, least, most) in numbers.items():
        if value is not None and not (isinstance(value, int) and least <= value <= most):
            raise SettingsError("bad-option", f"{name} is {shown(value)}", f"give a whole number from {least} to {most}")


def is_in_memory(dataset: Any) -> bool:
    """Whether a data set is an object, and not a name or a path."""
    return dataset is not None and not isinstance(dataset, str | Path)


def dataset_spec(
    dataset: Any, data_dir: str | Path | None, split: str, image_column: str, label_column: str, group_columns: Sequence[str], limit: int | None
) -> DatasetSpec | None:
    """What a data set is called for a plan; ``None`` where there is none."""
    if dataset is None or dataset == "":
        return None
    if is_in_memory(dataset):
        return DatasetSpec("memory", max_examples=limit)
    folder = None if data_dir is None else possible_path(data_dir)
    kind, colon, location = str(dataset).partition(":")
    reference = f"{kind}:{possible_path(location)}" if colon and ALIASES.get(kind, kind) in LAYOUTS.keys() - {"hub"} else str(dataset)
    return DatasetSpec(reference, folder, split, image_column, label_column, tuple(group_columns), max_examples=limit)


def name_of(reference: str) -> str:
    """What the default folder calls a checkpoint."""
    reference = reference.rstrip("/")
    return Path(reference).stem if Path(reference).suffix in (".safetensors", ".pth", ".pt", ".bin") else reference
