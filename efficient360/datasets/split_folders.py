"""Where the splits of an image folder are: class folders, or a flat folder whose labels are in a file; by names, and only where they hold what splits hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from efficient360.datasets.class_names import is_synset
from efficient360.datasets.folder_listing import files_beside, holds_image, images_in, sub_folders
from efficient360.datasets.layouts.label_file import LabelFile, label_file
from efficient360.datasets.split_names import NAMES, in_kind_order, is_split, kind_of, loose_kind
from efficient360.errors import DatasetError

INNER: Final = ("ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC")
"""Where ImageNet's splits lie in what Kaggle and the challenge's own archives hold."""
_IMAGES: Final = frozenset({"images", "image", "imgs", "jpegimages"})


@final
@dataclass(frozen=True)
class SplitPlace:
    """Where a split lies.

    Args:
        folder: Holds the class folders, or the images.
        labels: Says the class of each image of a flat folder; ``None`` where class folders do.
    """

    folder: Path
    labels: LabelFile | None = None


@final
@dataclass(frozen=True)
class Places:
    """What was found in an image folder.

    Args:
        root: The folder that holds the splits: the one given, or one inside.
        splits: Where each is, by its folder's name, the one evaluated by default first; empty where the root holds class folders itself.
        flat: The root itself, or the only folder in it, where that is a flat folder with a label file.
        unlabelled: Names of split folders whose images have no labels.
    """

    root: Path
    splits: Mapping[str, SplitPlace]
    flat: SplitPlace | None = None
    unlabelled: tuple[str, ...] = ()


def find_places(folder: Path) -> Places:
    """Where the splits of an image folder are.

    Raises:
        DatasetError: It can't be read, two folders are the same split, or folders of images stand beside splits.
    """
    root = entered(folder)
    splits, unlabelled = _splits(root)
    flat = None
    inner = sub_folders(root)
    images = root if not inner else inner[0] if len(inner) == 1 else None
    if not splits and not unlabelled and images is not None and holds_image(images):
        labels = label_file(images, root.absolute().name, images_in(images))
        flat = None if labels is None else SplitPlace(images, labels)
    return Places(root, splits, flat, tuple(unlabelled))


def split_folders(folder: Path) -> dict[str, Path]:
    """The folders of an image folder that are splits, by their own names; empty where it holds class folders itself.

    Raises:
        DatasetError: As :func:`find_places`.
    """
    return {name: place.folder for name, place in _splits(folder)[0].items()}


def entered(folder: Path) -> Path:
    """The folder that holds the splits or the classes: the one given, ImageNet's inner one, or the only one in it, if it holds splits or synsets."""
    for _ in range(3):
        inner = next((folder / name for name in INNER if (folder / name).is_dir()), None)
        if inner is None:
            children = sub_folders(folder)
            only = children[0] if len(children) == 1 else None
            if only is None or kind_of(only.name) in NAMES or holds_image(only) or holds_image(folder) or not _is_home(only):
                return folder
            inner = only
        folder = inner
    return folder


def _is_home(folder: Path) -> bool:
    names = [child.name for child in sub_folders(folder)]
    numbered = len(names) > 1 and set(names) == {str(i) for i in range(len(names))}
    return (len(names) > 1 and all(map(is_synset, names))) or (numbered and len(names) == 1000) or bool({kind_of(n) for n in names} & set(NAMES))


def _splits(folder: Path) -> tuple[dict[str, SplitPlace], list[str]]:
    """The splits in a folder, and names of split folders whose images have no labels."""
    top = sub_folders(folder)
    exact = [child for child in top if kind_of(child.name) in NAMES]
    loose = [child for child in top if is_split(child.name)]
    candidates = loose if exact or len(loose) == len(top) else []
    places: dict[str, SplitPlace] = {}
    unlabelled: list[str] = []
    for child in candidates:
        place = _place(child)
        if place is not None:
            places[child.name] = place
        elif any(holds_image(inner) for inner in (child, *_image_folder(child))):
            unlabelled.append(child.name)
    exactly = {kind_of(name) for name in places if kind_of(name) in NAMES}
    ordered = {name: places[name] for name in in_kind_order(places) if kind_of(name) in NAMES or loose_kind(name) not in exactly}
    kinds: dict[str, str] = {}
    for name in ordered:
        other = kinds.setdefault(loose_kind(name), name)
        if other != name:
            raise DatasetError("ambiguous-folder", f"{folder} holds both {other}/ and {name}/, which are the same split", "give the folder of one of them")
    if not ordered:
        return {}, unlabelled if len(candidates) == len(top) and len(top) > 1 else []
    classes = [child.name for child in top if child.name not in ordered and child.name not in unlabelled and holds_image(child)]
    if classes and not all(name.casefold() in _IMAGES for name in classes):
        message = f"{folder} holds {_named(list(ordered))}, which look like splits, beside {_named(classes)}, which look like classes"
        raise DatasetError("ambiguous-folder", message, "give the folder of one split, or move the others away")
    return ordered, unlabelled


def _place(child: Path) -> SplitPlace | None:
    """Where the images of a split's folder are; ``None`` where it is a class of that name, or has no labels."""
    flat = _image_folder(child) or ([child] if holds_image(child) else [])
    if flat:
        labels = label_file(flat[0], child.name, images_in(flat[0]))
        return None if labels is None else SplitPlace(flat[0], labels)
    return SplitPlace(child) if sub_folders(child) else None


def is_flat(folder: Path) -> bool:
    """Whether a split's folder holds images themselves, or in the only folder in it, called ``images``."""
    return holds_image(folder) or bool(_image_folder(folder))


def _image_folder(child: Path) -> list[Path]:
    """The only folder in a split's folder where it is called ``images`` and holds them."""
    inner = sub_folders(child)
    return inner if len(inner) == 1 and inner[0].name.casefold() in _IMAGES and holds_image(inner[0]) else []


def beside(folder: Path, splits: Mapping[str, SplitPlace]) -> int:
    """How many files lie beside the split folders, and in folders that are none."""
    others = [child for child in sub_folders(folder) if child.name not in splits]
    return files_beside(folder) + sum(1 for child in others for path in child.rglob("*") if path.is_file())


def _named(names: list[str]) -> str:
    return ", ".join(f"{name}/" for name in names[:5]) + (" …" if len(names) > 5 else "")
