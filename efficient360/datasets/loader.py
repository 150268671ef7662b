"""From what the user typed to a data set: a card opened, its columns checked, its examples named."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from efficient360.core.paths import exists, user_path
from efficient360.datasets.card import Card, Source, read_card, read_card_file
from efficient360.datasets.class_matching import known_part, unseen_classes
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.identity import ids_of
from efficient360.datasets.images import decoder_for
from efficient360.datasets.shifts import shifted_sets
from efficient360.datasets.sources import open_table
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError
from efficient360.evaluator import ShiftedSet
from efficient360.models.checkpoint import Checkpoint


@final
@dataclass(frozen=True)
class Dataset:
    """An opened data set.

    Args:
        card: What is known of it.
        split: The evaluated split.
        examples: The evaluated examples.
        available: How many examples the split has in all.
        shifts: Shifted versions of the test set, none of them opened.
        unseen: Names of its classes that the checkpoint does not know; their examples are left out.
        training: Opens the training split, ``None`` where there is none beside the evaluated one. Raises ``DatasetError`` where it can't be had.
    """

    card: Card
    split: str
    examples: ExampleSet
    available: int
    shifts: tuple[ShiftedSet, ...] = ()
    unseen: tuple[str, ...] = ()
    training: Callable[[], ExampleSet] | None = None


def card_of(spec: DatasetSpec) -> Card:
    """The card a reference stands for, with the user's columns over it.

    Raises:
        DatasetError: Unknown name, or a card that doesn't validate.
    """
    kind, _, location = spec.reference.partition(":")
    if kind == "imagefolder" and location:
        every = {name: name for name in ("test", "val", "validation", "train")}
        present = [name for name in every if (Path(location) / name).is_dir()]
        card = Card("imagefolder", location, Source("imagefolder", location), splits=every, evaluate=present[0] if present else "test")
    elif kind == "parquet" and location:
        card = Card("parquet", location, Source("parquet", location), splits={"test": "test"})
    elif spec.reference.endswith((".yaml", ".yml")):
        path = user_path(spec.reference)
        if not exists(path):
            raise DatasetError("no-card", f"there is no data set card at {path}", "check the path, or give the name of a data set: efficient360 list datasets")
        card = read_card_file(path)
    else:
        card = read_card(spec.reference)
    changes: dict[str, Any] = {"image": spec.image_column, "label": spec.label_column, "groups": spec.group_columns, "evaluate": spec.split}
    return dataclasses.replace(card, **{key: value for key, value in changes.items() if value})


def open_dataset(spec: DatasetSpec, checkpoint: Checkpoint, seed: int) -> Dataset:
    """Open the evaluated split.

    Args:
        spec: What the user asked for.
        checkpoint: What will see it: tells how it wants its pixels, and its classes where the data name none.
        seed: Of the subset, and of all randomness per example.

    Raises:
        DatasetError: It can't be found or read, lacks a column, is empty, or has labels out of range.
    """
    card = card_of(spec)
    whole = open_whole(card, card.evaluate, spec.data_dir, checkpoint, seed)
    examples = known_part(whole, checkpoint)
    unseen = tuple(whole.class_names[i] for i in unseen_classes(whole, checkpoint))
    chosen = examples if spec.max_examples is None else examples.subset(spec.max_examples, seed)
    # The card of a shifted set counts on all classes.
    shifts = () if unseen else shifted_sets(card, examples.class_names, spec.data_dir, checkpoint, seed)
    training = partial(open_split, card, "train", spec.data_dir, checkpoint, seed) if "train" in card.splits and card.evaluate != "train" else None
    return Dataset(card, card.evaluate, chosen, len(examples), shifts, unseen, training)


def open_split(card: Card, split: str, data_dir: Path | None, checkpoint: Checkpoint, seed: int) -> ExampleSet:
    """The examples of one split of a card whose classes the checkpoint knows.

    Raises:
        DatasetError: As :func:`open_dataset`.
    """
    return known_part(open_whole(card, split, data_dir, checkpoint, seed), checkpoint)


def open_whole(card: Card, split: str, data_dir: Path | None, checkpoint: Checkpoint, seed: int) -> ExampleSet:
    """All examples of one split of a card.

    Raises:
        DatasetError: As :func:`open_dataset`.
    """
    table = open_table(card, split, data_dir)
    if len(table) == 0:
        raise DatasetError("empty-split", f"the split {split!r} of {card.name} is empty", "check the files it was made from")
    for column, option in ((card.image, "--image-column"), (card.label, "--label-column"), *((g, "--group-column") for g in card.groups)):
        if column not in table.column_names:
            raise DatasetError("no-column", f"{card.name} has no column {column!r}", f"its columns are: {', '.join(table.column_names)}; choose with {option}")
    names, labels = _labels(table, card, checkpoint)
    return ExampleSet(
        table=table.select_columns([card.image]),
        image=card.image,
        positions=np.arange(len(table), dtype=np.int64),
        ids=ids_of(table, card, split),
        labels=labels,
        groups={column: _group(table, card, column) for column in card.groups},
        class_names=names,
        decoder=decoder_for(checkpoint.preprocessing),
        seed=seed,
    )


def _labels(table: Any, card: Card, checkpoint: Checkpoint) -> tuple[Sequence[str], NDArray[np.int64]]:
    column = table.select_columns([card.label])[:][card.label]
    missing = sum(value is None for value in column)
    if missing:
        raise DatasetError("missing-label", f"{missing} examples of {card.name} have no label", "evaluate a labelled split (--split)")
    values = np.asarray(column)
    feature = table.features[card.label]
    if values.dtype.kind in "US":
        # A split may lack a class: where the checkpoint knows all names, its list stands.
        present = [str(name) for name in np.unique(values)]
        names = list(checkpoint.class_names) if set(present) <= set(checkpoint.class_names) else present
        place = {name: i for i, name in enumerate(names)}
        return names, np.array([place[str(value)] for value in values], dtype=np.int64)
    if values.dtype.kind not in "iub":
        raise DatasetError("bad-label", f"the label column {card.label!r} of {card.name} holds {feature.dtype}", "labels are integers or class names")
    names = list(getattr(feature, "names", None) or _unnamed(card, checkpoint))
    wrong = np.flatnonzero((values < 0) | (values >= len(names)))
    if len(wrong):
        raise DatasetError(
            "label-out-of-range",
            f"{len(wrong)} labels of {card.name} are outside 0 … {len(names) - 1}, the first is {values[wrong[0]]} in row {wrong[0]}",
            "a split whose labels are −1 is unlabelled: evaluate another (--split); else the checkpoint was trained for other classes",
        )
    return names, values.astype(np.int64)


def _unnamed(card: Card, checkpoint: Checkpoint) -> list[str]:
    """Names for integer labels that the data leave nameless: the checkpoint's where the number of classes agrees, else the numbers."""
    count = card.classes or checkpoint.num_classes
    return list(checkpoint.class_names) if len(checkpoint.class_names) == count else [str(i) for i in range(count)]


def _group(table: Any, card: Card, column: str) -> list[str]:
    names = getattr(table.features[column], "names", None) or (card.group_values or {}).get(column)
    return [("unknown" if value is None else str(names[value]) if names and isinstance(value, int) else str(value)) for value in table[column]]
