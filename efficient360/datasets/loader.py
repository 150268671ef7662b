"""From what the user typed to a data set: a card opened, its columns checked, its examples named."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np

from efficient360.core.findings import Finding
from efficient360.datasets.card import Card
from efficient360.datasets.class_matching import known_part, unseen_classes
from efficient360.datasets.class_names import common_names
from efficient360.datasets.columns import find_columns, require_asked
from efficient360.datasets.data_findings import nameless
from efficient360.datasets.examples import ExampleSet
from efficient360.datasets.folder_findings import files_found, left_out
from efficient360.datasets.identity import ids_of
from efficient360.datasets.images import decoder_for
from efficient360.datasets.label_column import labels_of
from efficient360.datasets.layouts.image_folder import ONE_CLASS
from efficient360.datasets.pixel_depth import pixel_depth
from efficient360.datasets.recognition import read_reference
from efficient360.datasets.references import card_of
from efficient360.datasets.shifts import shifted_sets
from efficient360.datasets.sources import has_split, open_table
from efficient360.datasets.spec import DatasetSpec
from efficient360.datasets.split_names import kind_of
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
        image: Column of the images.
        label: Column of the labels.
    """

    examples: ExampleSet
    files: Mapping[str, Any]
    findings: tuple[Finding, ...]
    image: str
    label: str


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
    recognised = read_reference(spec.reference).finding
    opened = open_split_whole(card, card.evaluate, spec.data_dir, checkpoint, seed)
    if spec.data_dir is not None and card.source.kind != "manifest":
        require_asked(spec, opened.image, opened.label)
    whole = opened.examples
    around = next((finding for finding in opened.findings if finding.code == ONE_CLASS), None)
    if around is not None and not spec.class_map and not (checkpoint.class_names and common_names(whole.class_names, checkpoint.class_names)):
        raise DatasetError(ONE_CLASS, around.message, around.advice)
    examples = known_part(whole, checkpoint)
    unseen = tuple(whole.class_names[i] for i in unseen_classes(whole, checkpoint))
    chosen, spare = examples, None
    if spec.max_examples is not None and spec.max_examples < len(examples):
        chosen = examples.subset(spec.max_examples, seed)
        taken = set(chosen.ids)
        spare = examples.select([name for name in examples.ids if name not in taken])
    findings = opened.findings if recognised is None else (recognised, *opened.findings)
    # The card of a shifted set counts on all classes.
    shifts = () if unseen else shifted_sets(card, examples.class_names, spec.data_dir, checkpoint, seed)
    training = None
    split = next((name for name in card.splits if kind_of(name) == "train"), "train")
    if kind_of(card.evaluate) != "train" and has_split(card, split, spec.data_dir):
        training = partial(open_split, card, split, spec.data_dir, checkpoint, seed)
    return Dataset(card, card.evaluate, chosen, len(examples), shifts, unseen, training, spare, opened.files, findings)


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
    if len(table) == 0:
        raise DatasetError("empty-split", f"the split {split!r} of {card.name} is empty", "check the files it was made from")
    # A layout's own columns, whatever the card calls those of its source; of a local copy, those that it has.
    image, label = (name if data_dir is None or name in table.column_names else "" for name in (card.image, card.label))
    card = dataclasses.replace(card, image=opened.image or image, label=opened.label or label)
    columns = find_columns(table, card, checkpoint.num_classes)
    card = dataclasses.replace(card, image=columns.image, label=columns.label)
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
    findings = [*opened.findings, *columns.findings, *labels.findings, *([depth.finding] if depth is not None else [])]
    if not labels.named:
        findings.append(nameless(card, labels.names, checkpoint))
    files: Mapping[str, Any] = {}
    if opened.listing is not None:
        files = files_found(opened.listing, opened.beside)
        findings += left_out(opened.listing)
    return OpenedSplit(examples, files, tuple(findings), card.image, card.label)


def _group(table: Any, card: Card, column: str) -> list[str]:
    names = getattr(table.features[column], "names", None) or (card.group_values or {}).get(column)
    return [("unknown" if value is None else str(names[value]) if names and isinstance(value, int) else str(value)) for value in table[column]]
