"""From what the user typed to a data set: a card opened, its columns checked, its examples named."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np

from efficient360.core.findings import Finding
from efficient360.core.paths import exists, user_path
from efficient360.datasets.card import Card, Source, read_card, read_card_file
from efficient360.datasets.class_matching import known_part, unseen_classes
from efficient360.datasets.data_findings import files_found, left_out, nameless
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.identity import ids_of
from efficient360.datasets.images import decoder_for
from efficient360.datasets.label_column import labels_of
from efficient360.datasets.pixel_depth import pixel_depth
from efficient360.datasets.shifts import shifted_sets
from efficient360.datasets.sources import has_split, open_table
from efficient360.datasets.spec import DatasetSpec
from efficient360.datasets.split_folders import WHOLE, choose_split, kind_of, split_folders
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
        spare: Examples of the split that are not evaluated, because fewer were asked for.
        files: What was found in an image folder and what was left out, plain JSON; empty for other sources.
        findings: Reasons to trust numbers on it less.
    """

    card: Card
    split: str
    examples: ExampleSet
    available: int
    shifts: tuple[ShiftedSet, ...] = ()
    unseen: tuple[str, ...] = ()
    training: Callable[[], ExampleSet] | None = None
    spare: ExampleSet | None = None
    files: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@final
@dataclass(frozen=True)
class OpenedSplit:
    """One split, whole.

    Args:
        examples: All its examples.
        files: As of :class:`Dataset`.
        findings: As of :class:`Dataset`.
    """

    examples: ExampleSet
    files: Mapping[str, Any]
    findings: tuple[Finding, ...]


def card_of(spec: DatasetSpec) -> Card:
    """The card a reference stands for, with the user's columns over it.

    Raises:
        DatasetError: Unknown name, a card that doesn't validate, or a split that an image folder does not have.
    """
    kind, _, location = spec.reference.partition(":")
    if kind == "imagefolder" and location:
        return _folder_card(Path(location).expanduser(), spec)
    if kind == "parquet" and location:
        card = Card("parquet", location, Source("parquet", location), splits={"test": "test"})
    elif spec.reference.endswith((".yaml", ".yml")):
        path = user_path(spec.reference)
        if not exists(path):
            raise DatasetError("no-card", f"there is no data set card at {path}", "check the path, or give the name of a data set: efficient360 list datasets")
        card = read_card_file(path)
    else:
        card = read_card(spec.reference)
    split = next((name for name in card.splits if kind_of(name) == kind_of(spec.split)), spec.split) if spec.split not in card.splits else spec.split
    changes: dict[str, Any] = {"image": spec.image_column, "label": spec.label_column, "groups": spec.group_columns, "evaluate": split}
    return dataclasses.replace(card, **{key: value for key, value in changes.items() if value})


def _folder_card(folder: Path, spec: DatasetSpec) -> Card:
    """The card of an image folder: the splits that it has folders for, or one that is the whole folder."""
    if not folder.is_dir():
        raise DatasetError("no-folder", f"{folder} is no folder", "give a folder with one sub-folder of images a class")
    for asked, option in ((spec.image_column, "--image-column"), (spec.label_column, "--label-column"), (spec.group_columns, "--group-column")):
        if asked:
            raise DatasetError("no-column", f"{option} is given, and an image folder has no columns", "leave it out, or give Parquet files")
    folders = split_folders(folder)
    chosen = choose_split(folder, list(folders), spec.split)
    splits = {kind_of(name): name for name in folders} or {WHOLE: ""}
    return Card("imagefolder", str(folder), Source("imagefolder", str(folder)), splits=splits, evaluate=kind_of(chosen) if chosen else WHOLE)


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
    opened = open_split_whole(card, card.evaluate, spec.data_dir, checkpoint, seed)
    whole = opened.examples
    examples = known_part(whole, checkpoint)
    unseen = tuple(whole.class_names[i] for i in unseen_classes(whole, checkpoint))
    chosen, spare = examples, None
    if spec.max_examples is not None and spec.max_examples < len(examples):
        chosen = examples.subset(spec.max_examples, seed)
        taken = set(chosen.ids)
        spare = examples.select([name for name in examples.ids if name not in taken])
    # The card of a shifted set counts on all classes.
    shifts = () if unseen else shifted_sets(card, examples.class_names, spec.data_dir, checkpoint, seed)
    training = None
    split = next((name for name in card.splits if kind_of(name) == "train"), "train")
    if kind_of(card.evaluate) != "train" and has_split(card, split, spec.data_dir):
        training = partial(open_split, card, split, spec.data_dir, checkpoint, seed)
    return Dataset(card, card.evaluate, chosen, len(examples), shifts, unseen, training, spare, opened.files, opened.findings)


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
    return open_split_whole(card, split, data_dir, checkpoint, seed).examples


def open_split_whole(card: Card, split: str, data_dir: Path | None, checkpoint: Checkpoint, seed: int) -> OpenedSplit:
    """All examples of one split of a card, with what was found on the way.

    Raises:
        DatasetError: As :func:`open_dataset`.
    """
    opened = open_table(card, split, data_dir)
    table = opened.rows
    if opened.listing is not None:  # our own columns, whatever the card calls those of its source
        card = dataclasses.replace(card, image="image", label="label")
    if len(table) == 0:
        raise DatasetError("empty-split", f"the split {split!r} of {card.name} is empty", "check the files it was made from")
    for column, option in ((card.image, "--image-column"), (card.label, "--label-column"), *((g, "--group-column") for g in card.groups)):
        if column not in table.column_names:
            raise DatasetError("no-column", f"{card.name} has no column {column!r}", f"its columns are: {', '.join(table.column_names)}; choose with {option}")
    labels = labels_of(table, card, checkpoint)
    examples = ExampleSet(
        table=table.select_columns([card.image]),
        image=card.image,
        positions=np.arange(len(table), dtype=np.int64),
        ids=ids_of(table, split),
        labels=labels.values,
        groups={column: _group(table, card, column) for column in card.groups},
        class_names=labels.names,
        decoder=decoder_for(checkpoint.preprocessing),
        seed=seed,
        roots=opened.roots,
    )
    depth = pixel_depth(examples)
    if depth is not None:
        examples = dataclasses.replace(examples, white=depth.white, decoder=decoder_for(checkpoint.preprocessing, depth.white))
    findings = [*labels.findings, *([depth.finding] if depth is not None else [])]
    if not labels.named:
        findings.append(nameless(card, labels.names, checkpoint))
    files: Mapping[str, Any] = {}
    if opened.listing is not None:
        files = files_found(opened.listing, opened.beside)
        findings += left_out(opened.listing)
    return OpenedSplit(examples, files, tuple(findings))


def _group(table: Any, card: Card, column: str) -> list[str]:
    names = getattr(table.features[column], "names", None) or (card.group_values or {}).get(column)
    return [("unknown" if value is None else str(names[value]) if names and isinstance(value, int) else str(value)) for value in table[column]]
