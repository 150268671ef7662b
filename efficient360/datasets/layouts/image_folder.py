"""Image folders: one folder a class, or flat folders with a label file, divided into splits or not; ImageNet as it lies on disks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, final

from efficient360.core.close_names import did_you_mean
from efficient360.core.findings import Finding
from efficient360.core.formatting import count
from efficient360.core.paths import is_folder
from efficient360.datasets.card import Card
from efficient360.datasets.class_names import imagenet_1k, is_synset
from efficient360.datasets.column_table import ClassNames, ColumnTable
from efficient360.datasets.folder_listing import Listing, holds_image, images_in, in_order, is_number, list_classes, list_flat, list_images, sub_folders
from efficient360.datasets.layouts.label_file import LabelFile
from efficient360.datasets.layouts.layout import Layout
from efficient360.datasets.opened_table import OpenedTable
from efficient360.datasets.split_folders import Places, SplitPlace, beside, find_places
from efficient360.datasets.split_names import named_splits
from efficient360.errors import DatasetError

IMAGENET_CLASSES: Final = 1000
ONE_CLASS: Final = "one-class"
"""Code of the finding, and of the error where the checkpoint does not know that class."""


class _Folders(Layout):
    """Class folders, or flat ones with a label file, on disks."""

    def splits(self, location: str) -> Mapping[str, str]:
        """As :class:`Layout`."""
        return named_splits(list(find_places(_folder(location)).splits))

    def files(self, location: str) -> list[Path]:
        """As :class:`Layout`."""
        return [file for file in Path(location).rglob("*") if file.is_file()]


@final
@dataclass(frozen=True)
class ImageFolder(_Folders):
    """Class folders."""

    kind: ClassVar[str] = "imagefolder"
    typed: ClassVar[str] = "imagefolder:DIR"
    summary: ClassVar[str] = "one folder of images per class, or a flat folder with a label file"

    def recognise(self, path: Path) -> str:
        """As :class:`Layout`."""
        return "" if (found := _recognised(path)) is None or found[1] else found[0]

    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """As :class:`Layout`."""
        return opened_folder(_folder(location), split)


@final
@dataclass(frozen=True)
class ImageNet(_Folders):
    """Class folders of ImageNet-1k's classes: numbers from 0 to 999 are its synsets in the usual order."""

    kind: ClassVar[str] = "imagenet"
    typed: ClassVar[str] = "imagenet:DIR"
    summary: ClassVar[str] = "ImageNet, -V2, -A, -R, -Sketch or Tiny ImageNet as it lies on disks"

    def recognise(self, path: Path) -> str:
        """As :class:`Layout`."""
        return "" if (found := _recognised(path)) is None or not found[1] else found[0]

    def open(self, location: str, split: str, card: Card) -> OpenedTable:
        """As :class:`Layout`."""
        opened = opened_folder(_folder(location), split)
        names = list(opened.listing.classes) if opened.listing is not None else []
        if opened.listing is None or not all(is_number(name) and int(name) < IMAGENET_CLASSES for name in names):
            return opened
        synsets = imagenet_1k()
        told = f"the {count(len(names))} classes are called by numbers; they are taken for ImageNet-1k's, {names[0]} is {synsets[int(names[0])]}"
        finding = Finding("imagenet-order", told, "give imagefolder: with the same folder where they are others")
        listing = Listing(**{**vars(opened.listing), "classes": [synsets[int(name)] for name in names]})
        return OpenedTable(_table(listing), (), listing, opened.beside, "image", "label", (*opened.findings, finding))


def opened_folder(folder: Path, split: str) -> OpenedTable:
    """The images of one split of an image folder.

    Args:
        folder: Holds class folders, a folder for each split, or images with a label file.
        split: Name of the split's folder; ``""`` takes the whole.

    Raises:
        DatasetError: There is no such split, no class, no label or no image.
    """
    places = find_places(folder)
    if split:
        if split not in places.splits:
            names = ", ".join(places.splits) or "none"
            raise DatasetError(
                "unknown-split", f"{folder} has no split {split!r}", did_you_mean(split, places.splits, listed=f"its split folders are: {names}")
            )
        place = places.splits[split]
    else:
        place = places.flat or SplitPlace(places.root)
        if places.flat is None and not places.splits:
            _require_classes(places)
    return opened_place(place, places.root, places.splits)


def opened_place(place: SplitPlace, root: Path, splits: Mapping[str, SplitPlace]) -> OpenedTable:
    """The images of one place.

    Args:
        place: Where they are.
        root: What ids are relative to.
        splits: All splits of the data set: together they tell which classes there are.

    Raises:
        DatasetError: There is no class, no label or no image.
    """
    every = _vocabulary([place, *(other for other in splits.values() if other != place)])
    if not every:
        raise DatasetError("no-classes", f"{place.folder} has no sub-folders", "put the images of each class into a sub-folder named after it")
    findings: tuple[Finding, ...] = ()
    if place.labels is None:
        listing = list_images(place.folder, root, every)
    else:
        listing, findings = _listed(place.folder, place.labels, root, every)
    findings = (*findings, *_one_class(place, every))
    elsewhere = beside(root, splits) if splits else 0
    return OpenedTable(_table(listing), (), listing, elsewhere, "image", "label", findings)


def _vocabulary(places: Sequence[SplitPlace]) -> list[str]:
    """The classes of a data set. Numbers in a label file, beside folders with names, are the places of these names."""
    found = [(place.labels is not None, set(_classes(place))) for place in places]
    names = {name for _, classes in found for name in classes}
    words = {name for name in names if not is_number(name)}
    numbered = all(is_number(name) for listed, classes in found if listed for name in classes)
    return in_order(list(words if words and numbered else names))


def _listed(folder: Path, labels: LabelFile, root: Path, every: Sequence[str]) -> tuple[Listing, tuple[Finding, ...]]:
    """The images of a flat folder, and what to say of their labels."""
    told = f"the classes of the images of {folder} are those of {labels.path}"
    known = set(every)
    placed = not any(is_number(name) for name in every)

    def label(i: int, name: str) -> str | None:
        found = labels.in_order[i] if labels.in_order else labels.label(name)
        if found is None or found in known or not (placed and is_number(found)):
            return found
        if int(found) >= len(every):
            message = f"{labels.path} has a label {found}, and there are {len(every)} class folders"
            raise DatasetError("label-out-of-range", message, "numbers are taken for the places of the class folders, from 0; give names otherwise")
        return every[int(found)]

    listing = list_flat(folder, root, every, label, labels.path)
    if any(found not in known for found in (labels.in_order or list(labels.by_name.values())[:1])):
        told += f"; its numbers are taken for the places of the class names, 0 is {every[0]}"
    findings: tuple[Finding, ...] = (Finding("labels-from-file", told, "check that it belongs to these images"),)
    spare = len(labels.by_name) - len(listing.files)
    if spare > 0:
        told = f"{labels.path} names {count(spare)} images more than there are in {folder}"
        findings = (*findings, Finding("labels-without-images", told, "check that the folder is complete"))
    return listing, findings


def _one_class(place: SplitPlace, every: Sequence[str]) -> tuple[Finding, ...]:
    """What to say of a single class folder whose own folders may be the classes."""
    only = place.folder / every[0]
    inner = sub_folders(only) if place.labels is None and len(every) == 1 and only.is_dir() and not holds_image(only) else []
    if len(inner) < 2:
        return ()
    names = ", ".join(child.name for child in inner[:5]) + (" …" if len(inner) > 5 else "")
    return (Finding(ONE_CLASS, f"{place.folder} has one class folder, {only.name}/, which holds the folders {names}", f"did you mean imagefolder:{only}?"),)


def _table(listing: Listing) -> ColumnTable:
    return ColumnTable({"image": listing.files, "label": listing.labels, "id": listing.ids}, {"label": ClassNames(listing.classes)})


def _classes(place: SplitPlace) -> list[str]:
    if place.labels is None:
        return list_classes(place.folder)
    if place.labels.in_order:
        return list(set(place.labels.in_order))
    return list({label for name in images_in(place.folder) if (label := place.labels.label(name)) is not None})


def _require_classes(places: Places) -> None:
    root = places.root
    if places.unlabelled:
        message = f"{root} holds {', '.join(f'{name}/' for name in places.unlabelled)} with images and no labels"
        raise DatasetError("no-labels", message, "put a label file beside them (val.csv: file, class), or give the list itself: manifest:FILE")
    if not sub_folders(root):
        hint = "put the images of each class into a sub-folder named after it"
        if holds_image(root):
            message = f"{root} has no sub-folders, and no file with the labels of its {count(len(images_in(root)))} images lies in or beside it"
            raise DatasetError("no-labels", message, f"{hint}, or give a list of files and classes: manifest:FILE")
        raise DatasetError("no-classes", f"{root} has no sub-folders", hint)


def _folder(location: str) -> Path:
    folder = Path(location)
    if not is_folder(folder):
        raise DatasetError("no-folder", f"{folder} is no folder", "give a folder with one sub-folder of images a class")
    return folder


def _recognised(path: Path) -> tuple[str, bool] | None:
    """What of class folders is there, and whether it is ImageNet's; ``None`` where nothing is."""
    if not is_folder(path):
        return None
    try:
        places = find_places(path)
        place = next(iter(places.splits.values()), places.flat or SplitPlace(places.root))
        names = _classes(place)
        if places.flat is None and not places.splits:
            names = [name for name in names if _holds_images(places.root / name)]
    except DatasetError:
        return None
    if not names or (len(names) == 1 and place.labels is None and not places.splits):  # a single class is hardly what is meant
        return None
    own = all(is_synset(name) for name in names) or set(names) == {str(i) for i in range(IMAGENET_CLASSES)}
    splits = f"splits {', '.join(places.splits)} of " if places.splits else ""
    how = f"{count(len(names))} classes by a label file" if place.labels is not None else f"{count(len(names))} class folders"
    return f"{splits}{how}", own


def _holds_images(folder: Path, depth: int = 3) -> bool:
    return holds_image(folder) or (depth > 0 and any(_holds_images(child, depth - 1) for child in sub_folders(folder)))
