"""The labels of a table's column: whole numbers, true and false, names, lists of one of them, or one-hot; anything else is refused with its place."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.findings import Finding
from efficient360.datasets.card import Card
from efficient360.datasets.folder_listing import in_order
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint


@final
@dataclass(frozen=True)
class RawLabels:
    """A label column as the data have it, before any checkpoint is asked.

    Args:
        values: A name, or a whole number, for each example.
        names: Names of the numbers where the data say them, else empty.
        findings: Reasons to doubt them.
    """

    values: Sequence[str] | NDArray[np.int64]
    names: Sequence[str] = ()
    findings: tuple[Finding, ...] = ()


@final
@dataclass(frozen=True)
class Labels:
    """The labels of a split.

    Args:
        names: Name of each class.
        values: Class of each example, int64 ``(n,)``.
        named: Whether the data name their classes; else the names are the checkpoint's, or numbers.
        findings: Reasons to doubt them.
    """

    names: Sequence[str]
    values: NDArray[np.int64]
    named: bool
    findings: tuple[Finding, ...] = ()


def labels_of(table: Any, card: Card, checkpoint: Checkpoint) -> Labels:
    """The label column of a table, as a checkpoint's labels.

    Raises:
        DatasetError: As :func:`read_labels`, or labels are out of range.
    """
    raw = read_labels(table, card)
    if isinstance(raw.values, np.ndarray):
        return _by_number(raw.values, raw.names, card, checkpoint, raw.findings)
    return _by_name(raw.values, card, checkpoint, raw.findings)


def read_labels(table: Any, card: Card) -> RawLabels:
    """The label column of a table as it stands.

    Raises:
        DatasetError: Labels are missing, several for one image, or neither whole numbers nor names.
    """
    column = list(table.select_columns([card.label])[:][card.label])
    feature = (table.features or {})[card.label]
    missing = sum(value is None or (isinstance(value, float) and np.isnan(value)) or value == "" for value in column)
    if missing:
        raise DatasetError("missing-label", f"{missing} examples of {card.name} have no label", "evaluate a labelled split (--split)")
    findings: tuple[Finding, ...] = ()
    if any(isinstance(value, list | tuple | np.ndarray) for value in column):
        feature = getattr(feature, "feature", feature)
        column, findings = _one_each(column, card)
    kinds = {type(value) for value in column}
    if kinds == {str}:
        return RawLabels(column, findings=findings)
    if kinds not in ({int}, {bool}) and not (kinds == {float} and all(value.is_integer() for value in column)):
        holds = getattr(feature, "dtype", None) or type(column[0]).__name__
        hint = "labels are whole numbers or class names, one for each image; choose another column with --label-column"
        raise DatasetError("bad-label", f"the label column {card.label!r} of {card.name} holds {holds}", hint)
    if kinds == {bool}:
        findings = (*findings, _boolean(card))
    return RawLabels(np.asarray(column).astype(np.int64), list(getattr(feature, "names", None) or ()), findings)


def _one_each(column: Sequence[Any], card: Card) -> tuple[list[Any], tuple[Finding, ...]]:
    """The only label of each list; the place of the 1 where all are one-hot."""
    lists = [list(value) if isinstance(value, list | tuple | np.ndarray) else [value] for value in column]
    if all(len(value) == 1 for value in lists):
        return [value[0] for value in lists], ()
    sizes = {len(value) for value in lists}
    if len(sizes) == 1 and all(_is_one_hot(value) for value in lists):
        told = f"the labels of {card.name} are one-hot vectors of {sizes.pop()}; the place of the 1 is taken for the class"
        return [[float(v) for v in value].index(1.0) for value in lists], (Finding("one-hot-labels", told, "check the order of the classes"),)
    several = [i for i, value in enumerate(lists) if len(value) != 1]
    message = f"{len(several)} examples of {card.name} have several labels or none; the first is row {several[0]} with {lists[several[0]]!r}"
    raise DatasetError("multi-label", message, "only one label for each image can be evaluated; choose a column that has one (--label-column)")


def _is_one_hot(value: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and v in (0, 1) for v in value) and sum(value) == 1


def _by_name(column: Sequence[str], card: Card, checkpoint: Checkpoint, findings: tuple[Finding, ...]) -> Labels:
    # A split may lack a class: where the checkpoint knows all names, its list stands.
    present = in_order(sorted(set(column)))
    known = set(present) <= set(checkpoint.class_names)
    if not known and (numbers := _as_numbers(column)) is not None:
        told = (_boolean(card),) if {value.casefold() for value in present} <= {"true", "false"} else ()
        return _by_number(np.asarray(numbers, dtype=np.int64), (), card, checkpoint, (*findings, *told))
    names = list(checkpoint.class_names) if known else present
    place = {name: i for i, name in enumerate(names)}
    return Labels(names, np.array([place[value] for value in column], dtype=np.int64), named=True, findings=findings)


def _as_numbers(column: Sequence[str]) -> list[int] | None:
    """Texts that are numbers but no names of classes: true and false, whole numbers written as floats, numbers below 0; ``None`` for others."""
    if {value.casefold() for value in set(column)} <= {"true", "false"}:
        return [int(value.casefold() == "true") for value in column]
    if all(re.fullmatch(r"-?\d{1,9}(\.0*)?", value) for value in set(column)) and any(not value.isdigit() for value in set(column)):
        return [int(float(value)) for value in column]
    return None


def _by_number(values: NDArray[np.int64], own: Sequence[str], card: Card, checkpoint: Checkpoint, findings: tuple[Finding, ...]) -> Labels:
    names = list(own) or _unnamed(card, checkpoint)
    if not own and len(values) and int(values.min()) == 1:
        last = int(values.max())
        findings = (*findings, _from_one(card, last, len(names)))
        values = values - 1 if last == len(names) else values
    wrong = np.flatnonzero((values < 0) | (values >= len(names)))
    if len(wrong):
        raise DatasetError(
            "label-out-of-range",
            f"{len(wrong)} labels of {card.name} are outside 0 … {len(names) - 1}, the first is {values[wrong[0]]} in row {wrong[0]}",
            "a split whose labels are −1 is unlabelled: evaluate another (--split); else the checkpoint was trained for other classes",
        )
    return Labels(names, values, bool(own), findings)


def _unnamed(card: Card, checkpoint: Checkpoint) -> list[str]:
    """Names for integer labels that the data leave nameless: the checkpoint's where the number of classes agrees, else the numbers."""
    count = card.classes or checkpoint.num_classes
    return list(checkpoint.class_names) if len(checkpoint.class_names) == count else [str(i) for i in range(count)]


def _boolean(card: Card) -> Finding:
    message = f"the labels of {card.name} are true and false; they are taken for the classes 1 and 0"
    return Finding("boolean-labels", message, "check that the column is the class, and choose another with --label-column")


def _from_one(card: Card, last: int, classes: int) -> Finding:
    taken = "1 is taken for the first class" if last == classes else f"they are taken for the classes 0 … {classes - 1} as they stand"
    advice = "say otherwise with --class-map" if last == classes else "if the classes are numbered from 1, subtract 1 from the labels"
    return Finding("labels-from-one", f"the labels of {card.name} go from 1 to {last}, and none is 0; {taken}", advice)
