"""A file that says which of a checkpoint's outputs answers which of the data's classes."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from efficient360.datasets.regular_files import read_file
from efficient360.errors import DatasetError

ClassMap = Mapping[str, str | int]
"""Name, or index, of a checkpoint's output by name of a class of the data."""

_MAP = TypeAdapter(dict[str, str | int], config=ConfigDict(strict=True))
_LONGEST = 1 << 24


def read_class_map(path: Path) -> dict[str, str | int]:
    """The class map in a file: CSV with two columns, or JSON or YAML with one mapping.

    Raises:
        DatasetError: It can't be read, or is no such map.
    """
    text = read_file(path, f"the class map {path}", _LONGEST)
    try:
        return _parsed(text.decode("utf-8-sig"), path.suffix.casefold())
    except (ValueError, csv.Error, RecursionError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else " ".join(str(error).split())[:200]
        raise _bad(path, reason) from error


def _parsed(text: str, ending: str) -> dict[str, str | int]:
    data: Any
    if ending == ".json":
        data = json.loads(text)
    elif ending in (".yaml", ".yml"):
        import yaml

        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error
        if isinstance(data, dict):  # unquoted numbers among the data's names are names
            data = {str(key) if isinstance(key, int) and not isinstance(key, bool) else key: value for key, value in data.items()}
    else:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text)) if any(cell.strip() for cell in row)]
        if any(len(row) != 2 for row in rows):
            raise ValueError("a line has not two columns: name in the data, name or index in the checkpoint")
        if len({row[0] for row in rows}) != len(rows):
            raise ValueError("a class of the data stands in it twice")
        data = {name: int(output) if output.isascii() and output.isdigit() else output for name, output in rows}
    return _MAP.validate_python(data)


def _bad(path: Path, reason: str) -> DatasetError:
    return DatasetError(
        "bad-class-map", f"the class map {path} can't be read: {reason}", "give one mapping from the data's names to the checkpoint's names or indices"
    )
