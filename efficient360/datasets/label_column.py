"""The labels of a table's column: whole numbers, true and false, or names; anything else is refused with its place."""

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
    """The label column of a table.

    Raises:
        DatasetError: Labels are missing, neither whole numbers nor names, or out of range.
    """
    column = list(table.select_columns([card.label])[:][card.label])
    feature = table.features[card.label]
    missing = sum(value is None or (isinstance(value, float) and np.isnan(value)) for value in column)
    if missing:
        raise DatasetError("missing-label", f"{missing} examples of {card.name} have no label", "evaluate a labelled split (--split)")
    kinds = {type(value) for value in column}
    if kinds == {str}:
        return _by_name(column, checkpoint)
    if kinds == {float} and all(value.is_integer() for value in column):
        return _by_number(np.asarray(column).astype(np.int64), feature, card, checkpoint, ())
    if kinds not in ({int}, {bool}):
        holds = getattr(feature, "dtype", None) or type(column[0]).__name__
        raise DatasetError(
            "bad-label", f"the label column {card.label!r} of {card.name} holds {holds}", "labels are integers or class names, one for each image"
        )
    findings = (_boolean(card),) if kinds == {bool} else ()
    return _by_number(np.asarray(column).astype(np.int64), feature, card, checkpoint, findings)


def _by_name(column: Sequence[str], checkpoint: Checkpoint) -> Labels:
    # A split may lack a class: where the checkpoint knows all names, its list stands.
    present = in_order(sorted(set(column)))
    names = list(checkpoint.class_names) if set(present) <= set(checkpoint.class_names) else present
    place = {name: i for i, name in enumerate(names)}
    return Labels(names, np.array([place[value] for value in column], dtype=np.int64), named=True)


def _by_number(values: NDArray[np.int64], feature: Any, card: Card, checkpoint: Checkpoint, findings: tuple[Finding, ...]) -> Labels:
    own = list(getattr(feature, "names", None) or ())
    names = own or _unnamed(card, checkpoint)
    wrong = np.flatnonzero((values < 0) | (values >= len(names)))
    if len(wrong):
        raise DatasetError(
            "label-out-of-range",
            f"{len(wrong)} labels of {card.name} are outside 0 … {len(names) - 1}, the first is {values[wrong[0]]} in row {wrong[0]}",
            "a split whose labels are −1 is unlabelled: evaluate another (--split); else the checkpoint was trained for other classes",
        )
    if not own and len(values) and int(values.min()) == 1:
        findings = (*findings, _from_one(card, int(values.max()), len(names)))
    return Labels(names, values, bool(own), findings)


def _unnamed(card: Card, checkpoint: Checkpoint) -> list[str]:
    """Names for integer labels that the data leave nameless: the checkpoint's where the number of classes agrees, else the numbers."""
    count = card.classes or checkpoint.num_classes
    return list(checkpoint.class_names) if len(checkpoint.class_names) == count else [str(i) for i in range(count)]


def _boolean(card: Card) -> Finding:
    message = f"the labels of {card.name} are true and false; they are taken for the classes 1 and 0"
    return Finding("boolean-labels", message, "check that the column is the class, and choose another with --label-column")


def _from_one(card: Card, last: int, classes: int) -> Finding:
    message = f"the labels of {card.name} go from 1 to {last}, and none is 0; they are taken for the classes 0 … {classes - 1} as they stand"
    return Finding("labels-from-one", message, "if the classes are numbered from 1, subtract 1 from the labels")
