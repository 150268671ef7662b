"""The shifted versions of a test set that its card names: opened when somebody wants them, labelled with the data set's own classes."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efficient360.datasets.card import Card, Shift, Source
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.identity import ids_of, stamp
from efficient360.datasets.images import decoder_for
from efficient360.datasets.layouts.catalogue import LAYOUTS
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.sources import open_table
from efficient360.errors import DatasetError
from efficient360.evaluator import ShiftedSet
from efficient360.models.checkpoint import Checkpoint


def shifted_sets(card: Card, class_names: Sequence[str], data_dir: Path | None, checkpoint: Checkpoint, seed: int) -> tuple[ShiftedSet, ...]:
    """The shifted versions of a data set's test split, none of them opened yet.

    Args:
        card: The data set's card.
        class_names: Its classes.
        data_dir: The local copy of the data set; a folder in it that is named after a shifted set is read in place of that set's source.
        checkpoint: What will see them: tells how it wants its pixels.
        seed: Of all randomness per example.

    Raises:
        DatasetError: Two of the same name, or one named as a split (``bad-card``).
    """
    taken = set(card.splits)
    for shift in card.shifts:
        if shift.name in taken:
            raise DatasetError("bad-card", f"the card of {card.name} uses the name {shift.name!r} twice among its splits and shifts", "rename one of them")
        taken.add(shift.name)
    return tuple(
        ShiftedSet(
            shift.name, shift.title, tuple(sorted(set(shift.classes))), _identity(shift), partial(open_shift, card, shift, class_names, checkpoint, seed)
        )
        for shift in (_here(shift, data_dir) for shift in card.shifts)
    )


def open_shift(card: Card, shift: Shift, class_names: Sequence[str], checkpoint: Checkpoint, seed: int) -> ExampleSet:
    """One shifted set, its labels those of the data set.

    Args:
        card: The data set's card.
        shift: Which one.
        class_names: The data set's classes.
        checkpoint: Tells how it wants its pixels.
        seed: Of all randomness per example.

    Raises:
        DatasetError: It can't be had, lacks a column or an example, or its labels can't be matched to the data set's classes.
    """
    _require_classes(card, shift, class_names)
    splits = {shift.name: shift.split}
    inner = Card(shift.name, shift.title, shift.source, splits, evaluate=shift.name, image=shift.image, label=shift.label, groups=tuple(shift.where or ()))
    opened = _table(inner, shift)
    table = opened.rows
    for column in (shift.image, shift.label, *(shift.where or ())):
        if column not in table.column_names:
            raise DatasetError("no-column", f"{shift.title} has no column {column!r}", f"its columns are: {', '.join(table.column_names)}; mend the card")
    rows = _rows(table, shift)
    ids = ids_of(table, shift.name)
    return ExampleSet(
        table=table.select_columns([shift.image]),
        image=shift.image,
        positions=rows,
        ids=[ids[i] for i in rows],
        labels=_labels(table, shift, rows, class_names),
        groups={},
        class_names=class_names,
        decoder=decoder_for(checkpoint.preprocessing),
        seed=seed,
        roots=opened.roots,
    )


def _here(shift: Shift, data_dir: Path | None) -> Shift:
    """The shifted set with its local copy for a source, where there is one: Parquet files, or folders of classes."""
    local = None if data_dir is None else data_dir / shift.name
    if local is None or not local.is_dir():
        return shift
    if any(local.rglob("*.parquet")):
        return dataclasses.replace(shift, source=Source("parquet", str(local / "**" / "*.parquet")))
    return dataclasses.replace(shift, source=Source("imagefolder", str(local)), image="image", label="label")


def _identity(shift: Shift) -> str:
    """Changes when the card's entry or the local files do."""
    files = LAYOUTS[shift.source.kind].files(shift.source.location) if shift.source.kind in LAYOUTS else []
    return stamp(dataclasses.asdict(shift), files)


def _require_classes(card: Card, shift: Shift, class_names: Sequence[str]) -> None:
    if shift.classes and card.classes and card.classes != len(class_names):
        message = f"the evaluated split has {len(class_names)} classes, {card.name} has {card.classes}: which are those of {shift.title} can't be told"
        raise DatasetError("class-count-mismatch", message, "evaluate a split with all classes")
    wrong = [c for c in shift.classes if not 0 <= c < len(class_names)]
    if wrong:
        raise DatasetError("bad-card", f"{shift.title} names a class {wrong[0]}; {card.name} has 0 … {len(class_names) - 1}", "mend its classes in the card")
    expected = len(shift.classes) or len(class_names)
    if shift.labels and (len(shift.labels) != expected or len(set(shift.labels)) != expected):
        raise DatasetError("bad-card", f"{shift.title} names {len(set(shift.labels))} different labels for {expected} classes", "give each class one label")


def _table(inner: Card, shift: Shift) -> OpenedTable:
    try:
        return open_table(inner, shift.name, None)
    except DatasetError as error:
        if error.code != "hub-unreachable":
            raise
        cache = f"load_dataset({shift.source.location!r}) where there is a network fills the cache in HF_HOME"
        hint = f"{cache}; or put its files into a folder {shift.name} of --data-dir, or name them in a card of your own"
        raise DatasetError(error.code, error.message, hint) from error


def _rows(table: Any, shift: Shift) -> NDArray[np.int64]:
    wanted = np.ones(len(table), dtype=bool)
    for column, value in (shift.where or {}).items():
        column_values = table.select_columns([column])[:][column]
        wanted &= np.array([str(cell) == str(value) for cell in column_values], dtype=bool)
    if not wanted.any():
        chosen = ", ".join(f"{column} {value}" for column, value in (shift.where or {}).items())
        raise DatasetError("empty-split", f"{shift.title} has no example{' with ' if chosen else ''}{chosen}", "check its entry in the card")
    return np.flatnonzero(wanted).astype(np.int64)


def _labels(table: Any, shift: Shift, rows: NDArray[np.int64], class_names: Sequence[str]) -> NDArray[np.int64]:
    """Class of each row among the data set's. Names are trusted over positions, as between a checkpoint and a data set."""
    cells = table.select_columns([shift.label])[:][shift.label]
    given = [cells[i] for i in rows]
    missing = sum(value is None for value in given)
    if missing:
        raise DatasetError("missing-label", f"{missing} examples of {shift.title} have no label", "leave them out")
    values = np.asarray(given)
    own = shift.labels or (() if shift.classes else tuple(class_names))
    expected = len(shift.classes) or len(class_names)
    names = getattr(table.features[shift.label], "names", None)
    if values.dtype.kind in "US":
        position = _positions([str(value) for value in values], own, shift)
    elif values.dtype.kind not in "iub":
        raise DatasetError("bad-label", f"the label column {shift.label!r} of {shift.title} holds {values.dtype}", "labels are integers or names")
    elif names:
        _require_range(values, len(names), shift)
        position = _named([names[value] for value in values], names, own, expected, shift)
    else:
        position = values.astype(np.int64)
    _require_range(position, expected, shift)
    return np.asarray(shift.classes, dtype=np.int64)[position] if shift.classes else position


def _named(labels: Sequence[str], names: Sequence[str], own: Sequence[str], expected: int, shift: Shift) -> NDArray[np.int64]:
    """Places of labels whose source names them: by name, by number where the names are numbers (folders 0, 1, 10 …), else in the source's order."""
    if shift.labels or (len(set(own)) == len(own) and set(names) <= set(own)):
        return _positions(labels, own, shift)
    if all(name.isdecimal() for name in names):
        return np.array([int(name) for name in labels], dtype=np.int64)
    if len(names) != expected:
        message = f"{shift.title} names {len(names)} classes that its card does not match to the {expected} expected"
        raise DatasetError("unknown-label", message, "list its labels in the card, in the order of its classes")
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[name] for name in labels], dtype=np.int64)


def _positions(names: Sequence[str], own: Sequence[str], shift: Shift) -> NDArray[np.int64]:
    place = {name: i for i, name in enumerate(own)}
    unknown = next((name for name in names if name not in place), None)
    if unknown is not None:
        message = f"{shift.title} has a label {unknown!r} that its card does not match to a class"
        raise DatasetError("unknown-label", message, "list its labels in the card, in the order of its classes")
    if len(place) < len(own):
        message = f"two classes of the data set share a name, so the names in {shift.title} don't tell them apart"
        raise DatasetError("unknown-label", message, "list its labels in the card, in the order of its classes")
    return np.array([place[name] for name in names], dtype=np.int64)


def _require_range(values: NDArray[Any], count: int, shift: Shift) -> None:
    wrong = np.flatnonzero((values < 0) | (values >= count))
    if len(wrong):
        message = f"{len(wrong)} labels of {shift.title} are outside 0 … {count - 1}, the first is {values[wrong[0]]}"
        raise DatasetError("label-out-of-range", message, "its own labels are 0, 1 … in the order of the classes in its card")
