"""Lists of files and labels as rows: CSV, TSV, text, JSON (records, one mapping, COCO's), and JSON lines."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Final

from efficient360.core.parsing import parse_json
from efficient360.datasets.image_formats import ENDINGS
from efficient360.datasets.regular_files import read_file
from efficient360.errors import DatasetError

TABULAR: Final = (".csv", ".tsv", ".txt", ".lst")
RECORDS: Final = (".json", ".jsonl", ".ndjson")
LARGEST: Final = 1 << 30
"""Bytes of such a file; one for 14 million images has half of them."""

Rows = Mapping[str, Sequence[Any]]
"""Cells by column; a file without a header has columns ``column 1``, ``column 2`` …"""


def read_rows(path: Path) -> Rows:
    """The rows of a list.

    Raises:
        DatasetError: It can't be read, or is no such list (``bad-manifest``).
    """
    if path.is_file() and path.stat().st_size > LARGEST:
        raise _bad(path, f"it has {path.stat().st_size:,} bytes, where {LARGEST:,} are the most")
    encoded = read_file(path, f"the list {path}")
    ending = path.suffix.casefold()
    try:
        text = encoded.decode("utf-8-sig")
        if ending in RECORDS:
            records = [json.loads(line) for line in text.splitlines() if line.strip()] if ending != ".json" else _records(parse_json(text))
            return _columns(records)
        return _tabular(text, ending)
    except (ValueError, csv.Error, RecursionError) as error:
        raise _bad(path, " ".join(str(error).split())[:200]) from error


def looks_like_image(cell: Any) -> bool:
    """Whether a cell is the name of an image file."""
    return isinstance(cell, str) and PurePath(cell.strip()).suffix.casefold() in ENDINGS


def _tabular(text: str, ending: str) -> Rows:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    delimiter = _delimiter(lines[0], ending)
    cells = [line.split() for line in lines] if delimiter is None else list(csv.reader(io.StringIO(text), delimiter=delimiter))
    rows = [[cell.strip() for cell in row] for row in cells if any(cell.strip() for cell in row)]
    if delimiter is None and len({len(row) for row in rows}) > 1:  # "a file.jpg 3", "n01440764 tench, Tinca tinca": one name and the rest
        last = all(re.fullmatch(r"-?\d+", row[-1]) for row in rows)
        rows = [[" ".join(row[:-1]), row[-1]] if last else [row[0], " ".join(row[1:])] for row in rows]
    width = max(len(row) for row in rows)
    ragged = next((i for i, row in enumerate(rows) if len(row) != width), None)
    if ragged is not None:
        raise ValueError(f"row {ragged + 1} has {len(rows[ragged])} cells, where others have {width}")
    header = rows[0] if _is_header(rows) else None
    names = [name or f"column {i + 1}" for i, name in enumerate(header)] if header else [f"column {i + 1}" for i in range(width)]
    if len(set(names)) < len(names):
        raise ValueError("two of its columns have the same name")
    body = rows[1:] if header else rows
    return {name: [row[i] for row in body] for i, name in enumerate(names)}


def _delimiter(line: str, ending: str) -> str | None:
    if ending == ".tsv" or "\t" in line:
        return "\t"
    if ending == ".csv":
        return ";" if line.count(";") > line.count(",") else ","
    return next((mark for mark in (",", ";") if mark in line), None)


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: no image file, no number, no synset stands in it."""
    first = rows[0]
    return len(rows) > 1 and len(first) > 1 and not any(looks_like_image(cell) or re.fullmatch(r"-?\d+(\.\d+)?|n\d{8}", cell) for cell in first)


def _records(data: Any) -> list[Any]:
    if isinstance(data, dict) and {"images", "annotations"} <= set(data):
        return _coco(data)
    if isinstance(data, dict):
        inner = next((value for value in data.values() if isinstance(value, list) and value and isinstance(value[0], dict)), None)
        if inner is not None:
            return inner
        if all(isinstance(value, str | int | bool) for value in data.values()):
            return [{"path": key, "label": value} for key, value in data.items()]
    if isinstance(data, list) and data and all(isinstance(row, list) and len(row) == len(data[0]) for row in data):
        return [{f"column {i + 1}": cell for i, cell in enumerate(row)} for row in data]
    if isinstance(data, list):
        return data
    raise ValueError("it is neither a list of records nor one mapping from files to labels")


def _coco(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """COCO's form, as iNaturalist uses it for whole images: each image with the category of its annotation."""
    names = {entry["id"]: entry["name"] for entry in data.get("categories", ())}
    labels: dict[Any, list[Any]] = {}
    for entry in data["annotations"]:
        label = names.get(entry["category_id"], entry["category_id"])
        known = labels.setdefault(entry["image_id"], [])
        if label not in known:
            known.append(label)
    return [{"path": entry["file_name"], "label": labels.get(entry["id"], [])} for entry in data["images"]]


def _columns(records: Sequence[Any]) -> Rows:
    if not records:
        raise ValueError("it is empty")
    wrong = next((i for i, record in enumerate(records) if not isinstance(record, dict)), None)
    if wrong is not None:
        raise ValueError(f"record {wrong + 1} is no mapping")
    names = list(dict.fromkeys(name for record in records for name in record))
    return {str(name): [record.get(name) for record in records] for name in names}


def _bad(path: Path, reason: str) -> DatasetError:
    hint = "give CSV, TSV, JSON or JSON lines with a column of image paths and one of labels; see docs/datasets.md"
    return DatasetError("bad-manifest", f"the list {path} can't be read: {reason}", hint)
