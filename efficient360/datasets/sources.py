"""From a card to a table with its images left encoded: what the card names, or a local copy of it in whatever layout."""

import dataclasses
import glob
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from efficient360.core.close_names import did_you_mean
from efficient360.core.findings import Finding
from efficient360.core.paths import is_file, is_folder
from efficient360.datasets.card import Card
from efficient360.datasets.folder_listing import list_classes, sub_folders
from efficient360.datasets.layouts.catalogue import LAYOUTS
from efficient360.datasets.layouts.image_folder import opened_folder, opened_place
from efficient360.datasets.layouts.manifest import opened_manifest
from efficient360.datasets.layouts.parquet import opened_parquet
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.recognition import with_nearest
from efficient360.datasets.split_folders import SplitPlace, find_places, is_flat
from efficient360.datasets.split_names import NAMES, is_split, loose_kind
from efficient360.errors import DatasetError

EMBEDDED: Final = ("digits",)
FOLDERS: Final = ("imagefolder", "imagenet")
_LOCAL: Final = ("torchvision", "save_to_disk", "webdataset", "npz", "manifest", "parquet")


def open_table(card: Card, split: str, data_dir: Path | None) -> OpenedTable:
    """The rows of one split.

    Args:
        card: What to open.
        split: Our name of the split.
        data_dir: A local copy to read in place of the card's source, in any layout; of a manifest, the folder of its images.

    Raises:
        DatasetError: The split, files or hub can't be had.
    """
    source_split = card.splits.get(split)
    if source_split is None:
        raise DatasetError(
            "unknown-split", f"{card.name} has no split called {split!r}", did_you_mean(split, card.splits, listed=f"its splits are: {', '.join(card.splits)}")
        )
    kind, location = card.source.kind, card.source.location
    if data_dir is not None and kind == "manifest":
        return opened_manifest(Path(location).expanduser(), data_dir.absolute(), source_split, card)
    if data_dir is not None:
        return _local_copy(card, split, data_dir)
    if kind == "embedded" and location not in EMBEDDED:
        raise DatasetError("bad-card", f"{card.name} names the embedded data {location!r}, which do not exist", f"known: {', '.join(EMBEDDED)}")
    if kind == "embedded":
        from efficient360.datasets.digits import digits  # brings the datasets library, which takes a second

        return OpenedTable(digits(source_split))
    try:
        return _folder(card, split) if kind in FOLDERS and source_split else LAYOUTS[kind].open(location, source_split, card)
    except DatasetError as error:
        raise with_nearest(error, kind, location) from error


def has_split(card: Card, split: str, data_dir: Path | None) -> bool:
    """Whether a split can be there: named by the card and, of what lies on this machine, found. Opens nothing.

    Raises:
        DatasetError: A folder can't be read.
    """
    kind = card.source.kind
    if split not in card.splits:
        return False
    if data_dir is not None and kind != "manifest":
        return _local(card, split, data_dir) is not None
    if kind in FOLDERS:
        root = Path(card.source.location)
        return root.is_dir() and (card.splits[split] == "" or _declared(card, split, root) is not None)
    return kind != "parquet" or split == card.evaluate or card.splits[split] in LAYOUTS[kind].splits(card.source.location).values()


def _folder(card: Card, split: str) -> OpenedTable:
    root, declared = Path(card.source.location), card.splits[split]
    try:
        return LAYOUTS[card.source.kind].open(card.source.location, declared, card)
    except DatasetError as error:
        if error.code != "unknown-split":
            raise
    found = _declared(card, split, root)  # a card's own name of a folder, or data that are not divided
    if found is None:
        names = ", ".join(find_places(root).splits) or "none"
        raise DatasetError("unknown-split", f"{root} has no folder {declared}/ for the split {split!r}", f"its split folders are: {names}")
    return found()


def _declared(card: Card, split: str, folder: Path) -> Callable[[], OpenedTable] | None:
    """Opens the folder of a split; the whole folder for the evaluated one where it is not divided into splits."""
    _require_folder(folder)
    declared = card.splits[split]
    places = find_places(folder)
    if declared in places.splits:
        return partial(LAYOUTS[card.source.kind].open, str(folder), declared, card)
    if (places.root / declared).is_dir():
        others = {name: SplitPlace(places.root / name) for name in card.splits.values() if name and (places.root / name).is_dir()}
        return partial(opened_place, SplitPlace(places.root / declared), places.root, others)
    if split != card.evaluate or places.splits:
        return None
    return partial(opened_folder, folder, "")


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise DatasetError("no-folder", f"{folder} is no folder", "give a folder with one sub-folder of images a class")


def _local(card: Card, split: str, data_dir: Path) -> Callable[[], OpenedTable] | None:
    """Opens a split of a local copy: by the names of files and folders, else as whatever lies there; ``None`` where it has none."""
    wanted = {loose_kind(split), loose_kind(card.splits[split])}
    for name in _names(card, split):
        for pattern in (f"{name}-*.parquet", f"{name}.parquet", f"*/{name}-*.parquet", f"data/{name}-*.parquet"):
            if any(data_dir.glob(pattern)):
                return partial(opened_parquet, str(Path(glob.escape(str(data_dir))) / pattern), card)
    if (exact := _class_folders(card, split, data_dir)) is not None:
        others = {folder.name: SplitPlace(folder) for other in card.splits if (folder := _class_folders(card, other, data_dir)) is not None}
        return partial(opened_place, SplitPlace(exact), data_dir, others)
    if is_folder(data_dir):
        places = find_places(data_dir)
        own = next((name for name in places.splits if loose_kind(name) in wanted), None)
        if own is not None:
            return partial(opened_folder, data_dir, own)
    for kind in _LOCAL:
        layout = LAYOUTS[kind]
        if not layout.recognise(data_dir):
            continue
        own = next((name for ours, name in layout.splits(str(data_dir)).items() if {loose_kind(ours), loose_kind(name)} & wanted), None)
        if own is not None:
            return partial(layout.open, str(data_dir), own, _columns_found(card))
    return _whole(card, split, data_dir)


def _names(card: Card, split: str) -> list[str]:
    """What a split's files and folders may be called."""
    kinds = dict.fromkeys((loose_kind(card.splits[split]), loose_kind(split)))
    return [name for name in dict.fromkeys((card.splits[split], split, *(name for kind in kinds for name in NAMES.get(kind, ())))) if name]


def _class_folders(card: Card, split: str, data_dir: Path) -> Path | None:
    """The folder of class folders that has a split's exact name."""
    folders = (data_dir / name for name in _names(card, split))
    return next((folder for folder in folders if folder.is_dir() and not is_flat(folder) and sub_folders(folder)), None)


def _whole(card: Card, split: str, data_dir: Path) -> Callable[[], OpenedTable] | None:
    """Opens a copy that is not divided into splits as the evaluated one, unless its own name says that it is another."""
    name = data_dir.absolute().name
    if split != card.evaluate or (is_split(name) and loose_kind(name) not in (loose_kind(split), loose_kind(card.splits[split]))):
        return None
    for kind in ("save_to_disk", "webdataset", "npz", "manifest"):
        if LAYOUTS[kind].recognise(data_dir) and list(LAYOUTS[kind].splits(str(data_dir)).values()) == [""]:
            return partial(_taken_whole, partial(LAYOUTS[kind].open, str(data_dir), "", _columns_found(card)), data_dir, split)
    if not is_folder(data_dir):
        return None
    places = find_places(data_dir)
    if places.splits or (places.flat is None and not (LAYOUTS["imagefolder"].recognise(data_dir) or LAYOUTS["imagenet"].recognise(data_dir))):
        return None
    if places.flat is None and card.classes and len(list_classes(places.root)) > card.classes:
        return None
    return partial(_taken_whole, partial(opened_folder, data_dir, ""), data_dir, split)


def _columns_found(card: Card) -> Card:
    """The card without its columns, which a copy in another layout hardly has."""
    return dataclasses.replace(card, image="", label="")


def _taken_whole(opened: Callable[[], OpenedTable], data_dir: Path, split: str) -> OpenedTable:
    found = opened()
    told = f"{data_dir} is not divided into splits: all of it is taken for the split {split!r}"
    finding = Finding("split-assumed", told, "check that no training images are among them")
    return OpenedTable(**{**vars(found), "findings": (*found.findings, finding)})


def _local_copy(card: Card, split: str, data_dir: Path) -> OpenedTable:
    if not is_folder(data_dir) and not is_file(data_dir):
        raise DatasetError("no-data-dir", f"{data_dir} is no folder", "give the folder that holds the data set's Parquet files or class folders")
    found = _local(card, split, data_dir)
    if found is not None:
        return found()
    name = card.splits[split]
    recognised = [(layout, what) for layout in LAYOUTS.values() if (what := layout.recognise(data_dir))]
    there = f"; it holds {recognised[0][1]}: --dataset {recognised[0][0].kind}:{data_dir} reads it without the card" if recognised else ""
    raise DatasetError(
        "no-local-split",
        f"{data_dir} holds neither {name}-*.parquet nor a folder {name}/",
        f"put the {split} split of {card.name} there, or leave out --data-dir{there}",
    )
