"""Manifests: a list of image files with their labels (CSV, TSV, JSON, JSON lines), as Kaggle and metadata files have it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Final, final

from efficient360.core.findings import Finding
from efficient360.core.formatting import count
from efficient360.core.paths import is_file, user_path
from efficient360.datasets.card import Card
from efficient360.datasets.column_table import ColumnTable
from efficient360.datasets.columns import GROUPS, LABELS, PATHS, SPLITS, by_usual_name, plain
from efficient360.datasets.folder_listing import sub_folders
from efficient360.datasets.image_formats import ENDINGS
from efficient360.datasets.layouts.delimited import RECORDS, TABULAR, Rows, looks_like_image, read_rows
from efficient360.datasets.layouts.label_file import label_text
from efficient360.datasets.layouts.layout import Layout
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.split_names import WHOLE, is_split, named_splits
from efficient360.errors import DatasetError

PROBED: Final = 50
"""Rows whose files are looked for to find the folder that paths are relative to."""
STRAYS: Final = 1000
"""Up to so many files that are not where the others are, are looked for one by one."""
_INDEX: Final = ("", "unnamed0", "index", "column1")


@final
@dataclass(frozen=True)
class Manifest(Layout):
    """A list of image files with their labels."""

    kind: ClassVar[str] = "manifest"
    typed: ClassVar[str] = "manifest:FILE"
    summary: ClassVar[str] = "a CSV, TSV, JSON or JSONL list of image files with their labels"

    def recognise(self, path: Path) -> str:
        """As :class:`Layout`."""
        return f"a {path.suffix[1:].upper()} list" if path.suffix.casefold() in (*TABULAR, *RECORDS) and is_file(path) else ""

    def splits(self, location: str) -> Mapping[str, str]:
        """As :class:`Layout`: the values of a column of splits."""
        rows = read_rows(_file(location))
        column = split_column(rows)
        own = list(dict.fromkeys(str(value) for value in rows[column])) if column else []
        return named_splits(own) if own else {WHOLE: ""}

    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """As :class:`Layout`."""
        path = _file(location)
        return opened_manifest(path, path.absolute().parent, split, card)

    def files(self, location: str) -> list[Path]:
        """As :class:`Layout`."""
        path = _file(location)
        return [path, *(file for file in path.absolute().parent.rglob("*") if file.suffix.casefold() in ENDINGS)]


def opened_manifest(path: Path, folder: Path, split: str, card: Card) -> OpenedTable:
    """The rows of a manifest.

    Args:
        path: The manifest.
        folder: What its paths are relative to, or some folder in it.
        split: Value of the column of splits, or ``COLUMN=VALUE``; ``""`` takes all rows.
        card: Names columns, or leaves them to be found.

    Raises:
        DatasetError: It can't be read, its columns can't be told, or its files are not there.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - without resolving links, which lead out of it
    rows = read_rows(path)
    column, value = _asked_split(rows, split, path)
    if split and column:
        kept = [i for i, cell in enumerate(rows[column]) if str(cell) == value]
        rows = {name: [cells[i] for i in kept] for name, cells in rows.items()}
        if not kept:
            hint = f"its values are: {', '.join(_values(read_rows(path)[column]))}"
            raise DatasetError("empty-split", f"{path} has no row whose {column!r} is {value!r}", hint)
    image = card.image or _path_column(rows, path)
    if image not in rows:
        raise DatasetError("no-column", f"{path} has no column {image!r}", f"its columns are: {', '.join(rows)}; choose with --image-column")
    rest = [name for name in rows if name not in (image, column)]
    label, values, findings = _labels(rows, rest, path, card)
    texts = [str(cell).strip().replace("\\", "/") for cell in rows[image]]
    files = _resolved(texts, folder, path)
    kept = _distinct(files, values, path)
    if len(kept) < len(files):
        told = f"{count(len(files) - len(kept))} rows of {path} repeat an image with the same label, and are taken once"
        findings = (*findings, Finding("repeated-rows", told, "check that the list is one of images, not of boxes"))
        files, values = [files[i] for i in kept], [values[i] for i in kept]
        rows = {name: [rows[name][i] for i in kept] for name in rows}
    ids = [PurePosixPath(file).relative_to(folder).as_posix() if PurePosixPath(file).is_relative_to(folder) else file for file in files]
    others = [name for name in rest if name not in (label, "id")]
    cells: dict[str, Sequence[Any]] = {name: [None if cell in (None, "") else str(cell) for cell in rows[name]] for name in others}
    images = image if image != "id" else "image"
    table = ColumnTable({**cells, images: files, label: values, "id": ids})
    groups = ", ".join(name for name in card.groups if plain(name) in GROUPS)
    named = (("paths", image, card.image), ("labels", label, card.label), ("splits", column, ""), ("groups", groups, ""))
    found = [f"{what} in {name!r}" for what, name, given in named if name and not given]
    unused = [name for name in others if name not in card.groups]
    told = f"{path} holds {', '.join(found)}" + (f"; further columns, which --group-column may name: {', '.join(unused)}" if unused else "")
    if found and (plain(label) != "label" or groups):
        findings = (Finding("columns-found", told, "choose others with --image-column and --label-column"), *findings)
    return OpenedTable(table, image=images, label=label, findings=findings)


def _asked_split(rows: Rows, split: str, path: Path) -> tuple[str | None, str]:
    """The column that says which split a row is of, and the value asked for: of ``fold=3``, those told."""
    name, equals, value = split.partition("=")
    if not equals:
        return split_column(rows), split
    if name not in rows:
        raise DatasetError("no-column", f"{path} has no column {name!r}", f"its columns are: {', '.join(rows)}; choose with --split COLUMN=VALUE")
    return name, value


def _values(cells: Sequence[Any]) -> list[str]:
    return sorted({str(cell) for cell in cells})[:10]


def _distinct(files: Sequence[str], values: Sequence[Any], path: Path) -> list[int]:
    """The first row of each image.

    Raises:
        DatasetError: An image has several labels.
    """
    first: dict[str, int] = {}
    for i, file in enumerate(files):
        earlier = first.setdefault(file, i)
        if values[earlier] != values[i]:
            message = f"{path} gives {Path(file).name} several labels: {values[earlier]!r} in row {earlier + 1}, {values[i]!r} in row {i + 1}"
            raise DatasetError("multi-label", message, "only one label for each image can be evaluated; give a list with one row an image")
    return list(first.values())


def split_column(rows: Rows) -> str | None:
    """The column that says which split a row is of: one with a usual name that holds names of splits."""
    for name in by_usual_name(list(rows), SPLITS):
        values = {str(value) for value in rows[name]}
        if all(is_split(value) for value in values):
            return name
    return None


def group_columns(rows: Rows) -> tuple[str, ...]:
    """The columns that are called groups."""
    return tuple(by_usual_name(list(rows), GROUPS))


def _file(location: str) -> Path:
    path = user_path(location)
    if not is_file(path):
        raise DatasetError("no-manifest", f"there is no file {path}", "give the CSV, TSV, JSON or JSONL file that lists the images")
    return path


def _path_column(rows: Rows, path: Path) -> str:
    named = [name for name in rows if any(looks_like_image(cell) for cell in rows[name][:5])]
    usual = by_usual_name(named or list(rows), PATHS)
    if len(named) == 1 or usual:
        return usual[0] if usual else named[0]
    hint = f"its columns are: {', '.join(rows)}; choose with --image-column"
    raise DatasetError("no-column", f"which column of {path} names the image files can't be told", hint)


def _labels(rows: Rows, rest: Sequence[str], path: Path, card: Card) -> tuple[str, list[Any], tuple[Finding, ...]]:
    """The label column, its values, and what to say of them."""
    if card.label:
        if card.label not in rows:
            raise DatasetError("no-column", f"{path} has no column {card.label!r}", f"its columns are: {', '.join(rows)}; choose with --label-column")
        return card.label, _texts(rows[card.label]), ()
    usual = by_usual_name(rest, LABELS)
    if len(usual) > 1 and plain(usual[0]) != "label":
        counts = ", ".join(f"{name} ({len(set(map(str, rows[name])))} classes)" for name in usual)
        raise DatasetError("ambiguous-columns", f"{path} has several columns of labels: {counts}", f"choose one: --label-column {usual[0]}")
    if usual:
        return usual[0], _texts(rows[usual[0]]), ()
    left = [name for name in rest if plain(name) not in (*_INDEX[:3], *GROUPS)]
    if len(left) == 1 or (left and left[0].startswith("column ")):
        return left[0], _texts(rows[left[0]]), ()
    if (one_hot := _one_hot(rows, left, path)) is not None:
        return one_hot
    hint = f"its columns are: {', '.join(rows)}; choose with --label-column"
    raise DatasetError("no-column", f"which column of {path} holds the labels can't be told", hint)


def _texts(cells: Sequence[Any]) -> list[Any]:
    return [label_text(cell) if isinstance(cell, str) else cell for cell in cells]


def _one_hot(rows: Rows, left: Sequence[str], path: Path) -> tuple[str, list[Any], tuple[Finding, ...]] | None:
    """One column a class, with 1 in that of the image's: as medical collections have it."""
    try:
        numbers = {name: [float(cell) for cell in rows[name]] for name in left}
    except (TypeError, ValueError):
        return None
    columns = [name for name in left if set(numbers[name]) <= {0.0, 1.0}]
    if len(columns) < 2:
        return None
    sums = [sum(numbers[name][i] for name in columns) for i in range(len(numbers[columns[0]]))]
    wrong = [i for i, total in enumerate(sums) if total != 1]
    if wrong:
        message = f"{len(wrong)} images of {path} have several labels or none among its columns {', '.join(columns[:8])}; the first is row {wrong[0] + 1}"
        raise DatasetError("multi-label", message, "only one label for each image can be evaluated; choose a column that has one (--label-column)")
    told = f"{path} has one column of 0 and 1 for each of {len(columns)} classes: {', '.join(columns[:8])}"
    values = [next(name for name in columns if numbers[name][i]) for i in range(len(sums))]
    return "label", values, (Finding("one-hot-labels", told, "check that all of them are classes"),)


def _resolved(texts: Sequence[str], folder: Path, path: Path) -> list[str]:
    """The files that the rows name: relative to the folder or one inside, with or without their ending."""
    probes = _probes(folder, path)
    sample = list(dict.fromkeys(texts))[:PROBED]
    tries = [(probe, ending) for probe in probes for ending in _endings(probe, sample)]
    hits = [sum(is_file(probe / (text + ending)) for text in sample) for probe, ending in tries]
    root, ending = tries[hits.index(max(hits))]
    files = [str(root / (text + ending)) for text in texts]
    outside = [i for i, file in enumerate(files) if not Path(os.path.normpath(file)).is_relative_to(folder)]
    if outside:
        message = f"{path} names the image file {texts[outside[0]]!r}, which is outside {folder}"
        raise DatasetError("path-outside", message, "give the folder of the images with --data-dir, and paths relative to it in the list")
    missing = [i for i, file in enumerate(files) if not is_file(Path(file))]
    if len(missing) <= STRAYS:  # part of the files may have another ending, or lie in another folder
        for i in missing:
            candidates = (probe / (texts[i] + end) for probe in probes for end in ("", *sorted(ENDINGS)))
            files[i] = next((str(file) for file in candidates if is_file(file)), files[i])
        missing = [i for i in missing if not is_file(Path(files[i]))]
    if missing:
        looked = ", ".join(str(probe) for probe in probes[:6])
        message = f"{count(len(missing))} of the {count(len(texts))} images that {path} names are not there, the first is {texts[missing[0]]!r}"
        raise DatasetError("missing-image", f"{message}; looked in {looked}", "put the list beside its images, or give their folder with --data-dir")
    return files


def _probes(folder: Path, path: Path) -> list[Path]:
    """Folders that paths may be relative to: the given one, those in it, and folders of images in these."""
    outer = sub_folders(folder)[:PROBED]
    inner = [inside for child in outer for inside in sub_folders(child)[:PROBED] if inside.name.casefold() in ("images", path.stem.casefold())]
    return [probe for probe in dict.fromkeys((folder, folder / path.stem, *outer, *inner)) if probe.is_dir()]


def _endings(probe: Path, sample: Sequence[str]) -> list[str]:
    if any(looks_like_image(text) for text in sample):
        return [""]
    return ["", *dict.fromkeys(child.suffix for child in sorted(probe.iterdir())[:PROBED] if child.suffix.casefold() in ENDINGS)]
