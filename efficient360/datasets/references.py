"""From what the user typed to a card: one of those that come with the program, one of their own, or one made of what lies at a path."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from efficient360.core.paths import exists, user_path
from efficient360.datasets.card import Card, Source, SourceKind, read_card, read_card_file
from efficient360.datasets.hub import repository
from efficient360.datasets.layouts.catalogue import LAYOUTS
from efficient360.datasets.layouts.delimited import read_rows
from efficient360.datasets.layouts.manifest import group_columns
from efficient360.datasets.recognition import Reference, read_reference, with_nearest
from efficient360.datasets.sources import FOLDERS
from efficient360.datasets.spec import DatasetSpec
from efficient360.datasets.split_folders import find_places
from efficient360.datasets.split_names import WHOLE, choose_split, loose_kind
from efficient360.errors import DatasetError


def card_of(spec: DatasetSpec) -> Card:
    """The card a reference stands for, with the user's columns over it.

    Raises:
        DatasetError: Unknown name, a card that doesn't validate, or a split that the data do not have.
    """
    reference = read_reference(spec.reference)
    if reference.kind:
        return _card_of_layout(reference, spec)
    if reference.location.endswith((".yaml", ".yml")):
        path = user_path(reference.location)
        if not exists(path):
            raise DatasetError("no-card", f"there is no data set card at {path}", "check the path, or give the name of a data set: efficient360 list datasets")
        card = read_card_file(path)
    else:
        card = read_card(reference.location)
    split = next((name for name in card.splits if loose_kind(name) == loose_kind(spec.split)), spec.split) if spec.split not in card.splits else spec.split
    changes: dict[str, Any] = {"image": spec.image_column, "label": spec.label_column, "groups": spec.group_columns, "evaluate": split}
    return dataclasses.replace(card, **{key: value for key, value in changes.items() if value})


def _card_of_layout(reference: Reference, spec: DatasetSpec) -> Card:
    """A card for data of a layout: the splits that they have, or one that is the whole."""
    kind, location = reference.kind, reference.location
    if kind in FOLDERS:
        for asked, option in ((spec.image_column, "--image-column"), (spec.label_column, "--label-column"), (spec.group_columns, "--group-column")):
            if asked:
                raise DatasetError("no-column", f"{option} is given, and an image folder has no columns", "leave it out, or give a list: manifest:FILE")
    try:
        told = kind == "manifest" and "=" in spec.split  # rows by a column of any name
        splits = {spec.split: spec.split} if told else dict(LAYOUTS[kind].splits(location))
    except DatasetError as error:
        raise with_nearest(error, kind, location) from error
    own = [name for name in splits.values() if name]
    chosen = choose_split(_where(kind, location), own, spec.split, _remark(kind, location, spec.split))
    evaluate = next((ours for ours, name in splits.items() if name == chosen), WHOLE)
    groups = spec.group_columns or (group_columns(read_rows(Path(location))) if kind == "manifest" else ())
    try:
        return Card(
            kind if kind != "hub" else repository(location).name,
            location,
            _source(kind, location),
            splits=splits or {WHOLE: ""},
            evaluate=evaluate,
            image="" if kind in FOLDERS else spec.image_column,
            label="" if kind in FOLDERS else spec.label_column,
            groups=groups,
        )
    except ValidationError as error:
        names = ", ".join(map(repr, splits.values()))
        raise DatasetError("bad-split-name", f"{location} has splits called {names}", "give them names of letters, digits, spaces, dots and hyphens") from error


def _source(kind: str, location: str) -> Source:
    known: Mapping[str, SourceKind] = {name: name for name in get_args(SourceKind)}
    if kind != "hub":
        return Source(known[kind], location)
    source = repository(location)
    return Source("hub", source.name, source.config, source.revision)


def _where(kind: str, location: str) -> str:
    return kind if kind in ("parquet", "npz", "webdataset") else location


def _remark(kind: str, location: str, asked: str) -> str:
    """Why data of a layout have no splits, for messages.

    Raises:
        DatasetError: The split that is asked for is there, and has no labels.
    """
    if kind not in FOLDERS or not asked:
        return ""
    unlabelled: Sequence[str] = find_places(Path(location)).unlabelled
    if any(loose_kind(name) == loose_kind(asked) for name in unlabelled):
        raise DatasetError("no-labels", f"the images of the split {asked!r} of {location} have no labels", "evaluate a split that has: --split val")
    return "the folders in it are taken for classes"
