"""Digests of plain data. What is not plain is refused: a text that stands for an object may hide what it holds, or change from run to run."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from efficient360.errors import PluginError


def digest(value: Any, what: str) -> str:
    """SHA-256 of plain data, hexadecimal.

    Args:
        value: Texts, numbers, truth values, ``None``, paths, enums, NumPy scalars, and lists, tuples, sets, mappings and dataclasses of them.
        what: What it is, for the error.

    Raises:
        PluginError: It holds anything else (``not-plain``).
    """
    return hashlib.sha256(json.dumps(plain(value, what), sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def plain(value: Any, what: str) -> Any:
    """The same as JSON data; two values that differ give data that differ.

    Raises:
        PluginError: As :func:`digest`.
    """
    if isinstance(value, Enum):
        return plain(value.value, what)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return plain(value.item(), what)
    if isinstance(value, Path):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), f"{what}.{field.name}") for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        entries = [[plain(key, what), plain(item, f"{what}.{key}")] for key, item in value.items()]
        return dict(entries) if all(isinstance(key, str) for key, _ in entries) else sorted(entries, key=json.dumps)
    if isinstance(value, set | frozenset):
        return sorted((plain(item, what) for item in value), key=json.dumps)
    if isinstance(value, list | tuple):
        return [plain(item, f"{what}[{index}]") for index, item in enumerate(value)]
    message = f"{what} is a {type(value).__module__}.{type(value).__qualname__}, by which stored results can't be told apart"
    raise PluginError("not-plain", message, "give texts, numbers, or lists and mappings of them; a file by its path")
