"""Which columns of a table hold the images and the labels: those named, else those found by their usual names and by what they hold."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, final

from efficient360.core.findings import Finding
from efficient360.datasets.card import Card
from efficient360.datasets.image_formats import ENDINGS, HEAD, is_image
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError

IMAGES: Final = ("image", "img", "jpg", "jpeg", "png", "webp", "picture", "photo", "pixels", "images", "pixelvalues")
"""Usual names of a column of images, without case and punctuation."""
_PATHS_TEXT = "path filepath file filename imagepath imgpath imagefile imagefilename imagename imgname image img imageid imgid id uuid key name photo picture "
PATHS: Final = tuple(_PATHS_TEXT.split())
"""Usual names of a column of paths, likewise, the surest first."""
_LABELS_TEXT = (
    "label labels class target targets category cls y classname labelname classid labelid categoryid categoryname finelabel coarselabel wnid "
    "synset species breed diagnosis variety answer gt groundtruth predictionstring superclass "
)
LABELS: Final = tuple(_LABELS_TEXT.split())
"""Usual names of a column of labels, likewise."""
SPLITS: Final = ("split", "set", "subset", "partition", "phase", "usage", "fold")
GROUPS: Final = ("group", "groups", "subgroup")
LOOKED_AT: Final = 5
"""Rows looked at for what a column holds."""


@final
@dataclass(frozen=True)
class Columns:
    """The columns of a table that matter.

    Args:
        image: Holds the images.
        label: Holds the labels.
        findings: Says which were found, where nobody named them.
    """

    image: str
    label: str
    findings: tuple[Finding, ...] = ()


def plain(name: str) -> str:
    """A column's name without case and punctuation."""
    return re.sub(r"[\W_]+", "", name).casefold()


def by_usual_name(columns: Sequence[str], usual: Sequence[str]) -> list[str]:
    """The columns that have a usual name, the surest first."""
    order = list(usual)
    return sorted((column for column in columns if plain(column) in order), key=lambda column: order.index(plain(column)))


def require_asked(spec: DatasetSpec, image: str, label: str) -> None:
    """Refuse columns found in place of those that a user named.

    Raises:
        DatasetError: They differ.
    """
    for asked, column, option in ((spec.image_column, image, "--image-column"), (spec.label_column, label, "--label-column")):
        if asked and column != asked:
            message = f"{spec.data_dir or spec.reference} has no column {asked!r}"
            raise DatasetError("no-column", message, f"{column!r} would be taken: leave {option} out")


def find_columns(table: Any, card: Card, classes: int | None) -> Columns:
    """The image and label columns of a table.

    Args:
        table: A ``datasets.Dataset``, or what is indexed like one.
        card: Names columns, or leaves them to be found with ``""``.
        classes: How many classes the checkpoint knows; which of several label columns has as many is told.

    Raises:
        DatasetError: A named column is not there, none is found, or several could be meant.
    """
    names = list(table.column_names)
    for column, option in ((card.image, "--image-column"), (card.label, "--label-column"), *((g, "--group-column") for g in card.groups)):
        if column and column not in names:
            raise DatasetError("no-column", f"{card.name} has no column {column!r}", f"its columns are: {', '.join(names)}; choose with {option}")
    image = card.image or _image(table, card)
    label = card.label or _label(table, card, image, classes)
    told = [f"{what} are in the column {found!r}" for what, found, given in (("the images", image, card.image), ("the labels", label, card.label)) if not given]
    said = not told or (label == "label" and plain(image) in IMAGES)
    advice = "choose others with --image-column and --label-column"
    others = ", ".join(name for name in names if name not in (image, label)) or "none"
    message = f"{' and '.join(told)} of {card.name}, by what they are called and hold; its other columns: {others}"
    return Columns(image, label, () if said else (Finding("columns-found", message, advice),))


def _image(table: Any, card: Card) -> str:
    names = list(table.column_names)
    if "image" in names:
        return "image"
    features = table.features or {}
    typed = [name for name in names if type(features.get(name)).__name__ == "Image"]
    first = table[: min(LOOKED_AT, len(table))]
    held = typed or [name for name in names if any(_is_image_cell(cell) for cell in first[name])]
    paths = [] if held else [name for name in names if any(_is_path(cell) for cell in first[name])]
    found = held or paths
    usual = by_usual_name(found, IMAGES if held else PATHS)
    if len(found) == 1 or usual:
        return usual[0] if usual else found[0]
    if found:
        raise DatasetError("ambiguous-columns", f"{card.name} has several columns of images: {', '.join(found)}", "choose one with --image-column")
    arrays = [name for name in by_usual_name(names, IMAGES) if isinstance(first[name][0], list)]
    if arrays:
        message = f"the column {arrays[0]!r} of {card.name} holds images as nested lists of numbers"
        raise DatasetError("not-encoded", message, "store them as PNG or JPEG bytes (the datasets library's Image feature), or as npz:FILE")
    raise DatasetError("no-column", f"{card.name} has no column 'image'", f"its columns are: {', '.join(names)}; choose with --image-column")


def _label(table: Any, card: Card, image: str, classes: int | None) -> str:
    names = [name for name in table.column_names if name != image]
    if "label" in names:
        return "label"
    features = table.features or {}
    named = [name for name in names if getattr(features.get(name), "names", None)]
    found = by_usual_name(names, LABELS)
    found += [name for name in named if name not in found]
    if len(found) == 1:
        return found[0]
    if not found:
        raise DatasetError("no-column", f"{card.name} has no column 'label'", f"its columns are: {', '.join(table.column_names)}; choose with --label-column")
    if (same := _same_partition(table, found)) is not None:
        return same
    counts = {name: _count(table, name, features) for name in found}
    shown = ", ".join(f"{name} ({n} classes)" for name, n in counts.items())
    fits = [name for name, n in counts.items() if n == classes]
    hint = f"the checkpoint has {classes} outputs: --label-column {fits[0]}" if len(fits) == 1 else f"choose one: --label-column {found[0]}"
    raise DatasetError("ambiguous-columns", f"{card.name} has several columns of labels: {shown}", hint)


def _same_partition(table: Any, found: Sequence[str]) -> str | None:
    """The column with names where all columns say the same, such as ``class_id`` and ``class_name``."""
    cells = table.select_columns(list(found))[:]
    if any(not isinstance(value, str | int | bool) for name in found for value in cells[name]):
        return None
    together = set(zip(*(cells[name] for name in found), strict=True))
    if any(len(set(cells[name])) != len(together) for name in found):
        return None
    features = table.features or {}
    return next((n for n in found if getattr(features.get(n), "names", None)), None) or next((n for n in found if isinstance(cells[n][0], str)), found[0])


def _count(table: Any, name: str, features: Mapping[str, Any]) -> int:
    names = getattr(features.get(name), "names", None)
    return len(names) if names else len({str(value) for value in table.select_columns([name])[:][name]})


def _is_image_cell(cell: Any) -> bool:
    if isinstance(cell, bytes):
        return is_image(cell[:HEAD])
    return isinstance(cell, Mapping) and {"bytes", "path"} <= set(cell) and (cell["bytes"] is not None or _is_path(cell["path"]))


def _is_path(cell: Any) -> bool:
    return isinstance(cell, str) and PurePath(cell).suffix.casefold() in ENDINGS
