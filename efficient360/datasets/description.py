"""What a data set is, found out in seconds and without a model: layout, splits, classes, images, doubts, and how to evaluate on it."""

import dataclasses
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from efficient360.core.findings import Finding
from efficient360.core.formatting import count
from efficient360.datasets.card import Card
from efficient360.datasets.class_names import is_synset
from efficient360.datasets.columns import find_columns, require_asked
from efficient360.datasets.folder_findings import left_out
from efficient360.datasets.folder_listing import in_order, is_number
from efficient360.datasets.hub import repository_summary
from efficient360.datasets.image_formats import open_image
from efficient360.datasets.label_column import RawLabels, read_labels
from efficient360.datasets.layouts.catalogue import LAYOUTS
from efficient360.datasets.layouts.parquet import files_of_split
from efficient360.datasets.layouts.parquet_peek import peek, rows_of
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.recognition import read_reference, with_nearest
from efficient360.datasets.references import card_of
from efficient360.datasets.regular_files import image_bytes
from efficient360.datasets.sources import has_split, open_table
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError

SAMPLE: Final = 64
"""Images looked at, evenly spaced in the split."""
NAMED: Final = 6
CHECKPOINT: Final = "CHECKPOINT"
"""What stands for a checkpoint in the command that is offered."""


@final
@dataclass(frozen=True)
class DataDescription:
    """What a data set is.

    Args:
        kind: What it is, in words.
        reference: How it is named in full.
        title: What it is called.
        split: The split described, which is evaluated unless another is asked for.
        splits: Number of examples of each split; ``None`` where it could not be had.
        class_names: Names of its classes, index = label; empty where the data name none.
        classes: How many there are.
        per_class: Images of the class that has fewest, and most.
        labels: How the labels were found, and which classes they are, in words.
        sizes: Images by width and height, of those looked at.
        modes: Images by Pillow mode, of those looked at.
        formats: Images by format, of those looked at.
        broken: How many of those looked at can't be read.
        further: Columns that ``--group-column`` may name.
        findings: What to know of it.
        arguments: Of ``efficient360 evaluate``, after the checkpoint.
    """

    kind: str
    reference: str
    title: str
    split: str
    splits: Mapping[str, int | None]
    class_names: Sequence[str] = ()
    classes: int = 0
    per_class: tuple[int, int] = (0, 0)
    labels: str = ""
    sizes: Mapping[tuple[int, int], int] = dataclasses.field(default_factory=dict)
    modes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    formats: Mapping[str, int] = dataclasses.field(default_factory=dict)
    broken: int = 0
    further: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    arguments: Sequence[str] = ()

    @property
    def command(self) -> str:
        """The command that evaluates on it."""
        return shlex.join(["efficient360", "evaluate", CHECKPOINT, *self.arguments])

    def lines(self) -> list[str]:
        """It, for a terminal."""
        counted = [f"{name} ({count(n)})" if n is not None else name for name, n in self.splits.items()]
        rows = [("data set", f"{self.title}: {self.kind}"), ("splits", f"{', '.join(counted)}; {self.split} is evaluated")]
        if self.classes:
            names = ", ".join(self.class_names[:NAMED]) + (" …" if len(self.class_names) > NAMED else "")
            fewest, most = self.per_class
            each = f"{count(fewest)} images each" if fewest == most else f"{count(fewest)} to {count(most)} images each"
            rows += [("classes", count(self.classes) + (f", {each}" if most else "") + (f": {names}" if names else ""))]
        rows += [("labels", self.labels)] if self.labels else []
        if self.sizes:
            rows += [("images", f"{_sizes(self.sizes)}; {_counts(self.formats)}; {_counts(self.modes)} ({sum(self.modes.values())} looked at)")]
        rows += [("not readable", f"{self.broken} of the images looked at")] if self.broken else []
        rows += [("further columns", f"{', '.join(self.further[:12])} (groups for fairness: --group-column)")] if self.further else []
        lines = [f"{head:<16}{text}" for head, text in rows]
        for finding in self.findings:
            lines += [f"{'warning':<16}{finding.message} ({finding.code})", f"{'':<16}→ {finding.advice}"]
        return [*lines, "", self.command]


def describe(spec: DatasetSpec) -> DataDescription:
    """What a data set is. No checkpoint is loaded, no network built, and few images are opened.

    Args:
        spec: What the user typed.

    Raises:
        DatasetError: It can't be found or read.
    """
    reference = read_reference(spec.reference)
    card = card_of(spec)
    kind = _kind(card, bool(reference.kind), spec.data_dir)
    title = card.title if not reference.kind else reference.text
    arguments = ["--dataset", reference.text, *(["--data-dir", str(spec.data_dir)] if spec.data_dir is not None else [])]
    arguments += [part for pair in _options(spec) for part in pair]
    found = [] if reference.finding is None else [reference.finding]
    if card.source.kind == "hub" and spec.data_dir is None:  # opening would download it
        return _of_hub(card, DataDescription(kind, reference.text, title, card.evaluate, {}, findings=found, arguments=arguments))
    opened = _look_into(card, card.evaluate, spec.data_dir)
    table = opened.rows
    if len(table) == 0:
        raise DatasetError("empty-split", f"the split {card.evaluate!r} of {card.name} is empty", "check the files it was made from")
    image, label = (name if spec.data_dir is None or name in table.column_names else "" for name in (card.image, card.label))
    columns = find_columns(table, dataclasses.replace(card, image=opened.image or image, label=opened.label or label), None)
    if spec.data_dir is not None and card.source.kind != "manifest":
        require_asked(spec, columns.image, columns.label)
    raw = read_labels(table, dataclasses.replace(card, image=columns.image, label=columns.label))
    sizes, modes, formats, broken = _looks(table, columns.image, opened)
    names, per_class = _classes(raw)
    listed = left_out(opened.listing) if opened.listing is not None else []
    return DataDescription(
        kind=kind,
        reference=reference.text,
        title=title,
        split=card.evaluate,
        splits={name: len(table) if name == card.evaluate else _size(card, name, spec.data_dir) for name in card.splits},
        class_names=names,
        classes=len(per_class),
        per_class=(min(per_class), max(per_class)),
        labels=_how(raw, opened, columns.label, names),
        sizes=sizes,
        modes=modes,
        formats=formats,
        broken=broken,
        further=[] if opened.listing is not None else [c for c in table.column_names if c not in (columns.image, columns.label, "id")],
        findings=(*found, *opened.findings, *columns.findings, *raw.findings, *listed),
        arguments=arguments,
    )


def _kind(card: Card, named: bool, data_dir: Path | None) -> str:
    if data_dir is not None:
        return f"a local copy in {data_dir}" if card.source.kind != "manifest" else f"a list of images in {data_dir}"
    if card.source.kind == "hub":
        return f"{card.source.location} on the Hugging Face hub"
    if card.source.kind not in LAYOUTS:
        return "embedded in the program"
    return LAYOUTS[card.source.kind].summary if named else f"{card.source.kind}:{card.source.location}"


def _options(spec: DatasetSpec) -> list[tuple[str, str]]:
    pairs = [("--split", spec.split), ("--image-column", spec.image_column), ("--label-column", spec.label_column)]
    return [(option, value) for option, value in (*pairs, *(("--group-column", column) for column in spec.group_columns)) if value]


def _of_hub(card: Card, base: DataDescription) -> DataDescription:
    """What the hub says of a data set, which is not downloaded."""
    summary = repository_summary(card.source.location, card.source.config, card.source.revision)
    label = card.label or next((name for name, names in summary.classes.items() if names), "")
    names = list(summary.classes.get(label, ()))
    splits = {ours: summary.splits.get(own) for ours, own in card.splits.items()}
    labels = f"the column {label!r}" if label else f"in one of the columns {', '.join(summary.columns)}" if summary.columns else ""
    return dataclasses.replace(base, splits=splits, class_names=names, classes=len(names), labels=labels, kind=f"{base.kind}; nothing is downloaded yet")


def _look_into(card: Card, split: str, data_dir: Path | None) -> OpenedTable:
    """The rows of a split; of Parquet files without the copy and the digest that an evaluation makes."""
    if card.source.kind != "parquet" or data_dir is not None:
        return open_table(card, split, data_dir)
    try:
        files = files_of_split(card.source.location, card.splits[split])
    except DatasetError as error:
        raise with_nearest(error, "parquet", card.source.location) from error
    return OpenedTable(peek(files, f"the Parquet files of {card.name}"), tuple(dict.fromkeys(file.resolve().parent for file in files)))


def _size(card: Card, split: str, data_dir: Path | None) -> int | None:
    try:
        if card.source.kind == "parquet" and data_dir is None:
            return rows_of(files_of_split(card.source.location, card.splits[split]))
        return len(open_table(card, split, data_dir).rows) if has_split(card, split, data_dir) else None
    except DatasetError:
        return None


def _looks(table: Any, image: str, opened: OpenedTable) -> tuple[Counter[tuple[int, int]], Counter[str], Counter[str], int]:
    """Sizes, modes and formats of images evenly spaced in a table, and how many of them can't be read."""
    sizes: Counter[tuple[int, int]] = Counter()
    modes: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    broken = 0
    for place in np.unique(np.linspace(0, len(table) - 1, min(len(table), SAMPLE)).astype(int)).tolist():
        cell = table.select_columns([image])[place : place + 1][image][0]
        try:
            picture = open_image(image_bytes(cell, opened.roots, str(place)))
        except (OSError, SyntaxError, ValueError, DatasetError):
            broken += 1
            continue
        sizes[picture.size] += 1
        modes[picture.mode] += 1
        formats[str(picture.format)] += 1
    return sizes, modes, formats, broken


def _classes(raw: RawLabels) -> tuple[list[str], list[int]]:
    """Names of the classes where there are some, and how many examples each has."""
    if isinstance(raw.values, np.ndarray):
        counts = np.bincount(raw.values - min(0, int(raw.values.min())), minlength=len(raw.names))
        present = [int(n) for n in counts if n] if not raw.names else [int(n) for n in counts]
        return list(raw.names), present
    per_name = Counter(raw.values)
    names = in_order(list(per_name))
    return names, [per_name[name] for name in names]


def _how(raw: RawLabels, opened: OpenedTable, label: str, names: Sequence[str]) -> str:
    if opened.listing is not None:
        source = "a label file" if any(finding.code == "labels-from-file" for finding in opened.findings) else "the names of folders"
    else:
        source = f"the column {label!r}"
    if not names:
        low, high = int(np.min(raw.values)), int(np.max(raw.values))
        return f"{source}: numbers from {low} to {high} without names, taken for the checkpoint's outputs"
    if all(is_synset(name) for name in names):
        return f"{source}: WordNet ids, matched to a checkpoint of ImageNet's classes by id or name"
    if all(is_number(name) for name in names):
        return f"{source}: numbers, taken for the checkpoint's outputs of these indices"
    return f"{source}: names, matched to the checkpoint's class names"


def _sizes(sizes: Mapping[tuple[int, int], int]) -> str:
    if len(sizes) == 1:
        width, height = next(iter(sizes))
        return f"{width} x {height}"
    widths, heights = [w for w, _ in sizes], [h for _, h in sizes]
    return f"{min(widths)} … {max(widths)} wide, {min(heights)} … {max(heights)} high"


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda entry: -entry[1])
    return ", ".join(name if len(ordered) == 1 else f"{name} {n}" for name, n in ordered)
