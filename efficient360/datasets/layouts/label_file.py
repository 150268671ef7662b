"""The file that says the classes of the images of a flat folder: ImageNet's ground truth, Kaggle's CSV, Tiny ImageNet's annotations, or a plain list."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from efficient360.datasets.columns import LABELS, PATHS, by_usual_name
from efficient360.datasets.layouts.delimited import RECORDS, TABULAR, Rows, looks_like_image, read_rows
from efficient360.datasets.regular_files import read_file
from efficient360.datasets.split_names import NAMES, loose_kind
from efficient360.errors import DatasetError

GROUND_TRUTH: Final = "ILSVRC2012_validation_ground_truth.txt"
SYNSET_LIST: Final = "imagenet_2012_validation_synset_labels.txt"
DEVKITS: Final = (".", "data", "devkit/data", "ILSVRC2012_devkit_t12/data", "devkit", "meta")
ABOVE: Final = 4
"""Folders above a flat one in which ImageNet's own label files are looked for."""
LARGEST_META: Final = 1 << 26
"""Bytes of a ``meta.mat``; the devkit's has half a million."""
_MARKS: Final = ("", "_annotations", "_labels", "_list", "_map", "-labels")
_SYNSET = re.compile(r"n\d{8}")


@final
@dataclass(frozen=True)
class LabelFile:
    """What a label file says.

    Args:
        path: The file.
        by_name: Label by the name of an image file, with or without its ending; empty where there is one label a line.
        in_order: A label for each image in the order of their names; empty where images are named.
    """

    path: Path
    by_name: Mapping[str, str]
    in_order: Sequence[str] = ()

    def label(self, name: str) -> str | None:
        """The label of an image file, ``None`` where it has none."""
        return self.by_name.get(name, self.by_name.get(os.path.splitext(name)[0]))  # noqa: PTH122 - asked for every image


def label_file(folder: Path, split: str, images: Sequence[str]) -> LabelFile | None:
    """The label file of a flat folder, looked for in it, beside it, and for ImageNet's own up to :data:`ABOVE` folders above.

    Args:
        folder: Holds the images.
        split: What the split's folder is called.
        images: Names of the images, sorted.

    Raises:
        DatasetError: ImageNet's ground truth is there without the file that says what its numbers mean (``no-class-list``), or can't be read.
    """
    for path in _candidates(folder, split):
        read = _ground_truth(path) if path.name == GROUND_TRUTH else _listed(path, folder.absolute())
        if read is None:
            continue
        if len(read.in_order) == len(images) or (images and any(read.label(name) is not None for name in images[:100])):
            return read
    return None


def _candidates(folder: Path, split: str) -> list[Path]:
    kind = loose_kind(split)
    stems = list(dict.fromkeys((split, folder.name, *NAMES.get(kind, ()))))
    endings = (*TABULAR, *RECORDS)
    near = [f"{stem}{mark}{ending}" for stem in stems for mark in _MARKS for ending in endings]
    inside = [f"{stem}{ending}" for stem in ("labels", "annotations", "metadata", "classes") for ending in endings]
    own = [f"LOC_{kind}_solution.csv", *([GROUND_TRUTH, SYNSET_LIST] if kind == "val" else [])]
    folder = folder.absolute()
    parents = [folder, *folder.parents[:ABOVE]]
    found = [parent / place / name for name in own for parent in parents for place in DEVKITS]
    found += [parent / name for parent in parents[:3] for name in near]
    found += [parent / name for parent in parents[:2] for name in inside]
    return [path for path in found if path.is_file()]


def _listed(path: Path, folder: Path) -> LabelFile | None:
    try:
        rows = read_rows(path)
    except DatasetError:
        return None
    names = list(rows)
    if len(names) == 1:
        labels = [str(cell) for cell in rows[names[0]]]
        return None if any(looks_like_image(label) for label in labels) else LabelFile(path, {}, labels)
    image = next((name for name in names if any(looks_like_image(cell) for cell in rows[name][:5])), None) or next(iter(by_usual_name(names, PATHS)), None)
    if image is None:
        return None
    rest = [name for name in names if name != image]
    label = next(iter(by_usual_name(rest, LABELS)), None) or (rest[0] if rest[0].startswith("column ") or len(rest) == 1 else None)
    by_name = None if label is None else _by_name(rows, image, label, folder)
    return None if by_name is None else LabelFile(path, by_name)


def _by_name(rows: Rows, image: str, label: str, folder: Path) -> dict[str, str] | None:
    """Labels by the name of a file in the folder: of rows with paths, those that lead there; ``None`` where an image has several."""
    cells = ((str(path).strip().replace("\\", "/").rpartition("/"), cell) for path, cell in zip(rows[image], rows[label], strict=True))
    given = [(parent, name, cell) for (parent, _, name), cell in cells if cell not in (None, "", [])]
    parents = {parent: not parent or folder.as_posix().endswith(f"/{parent.removeprefix('./')}") for parent in {parent for parent, *_ in given}}
    here = [(name, cell) for parent, name, cell in given if parents[parent]]
    if not here and len({name for _, name, _ in given}) == len(given):  # paths of another machine
        here = [(name, cell) for _, name, cell in given]
    labels: dict[str, str] = {}
    for name, cell in here:
        text = label_text(cell)
        if labels.setdefault(name, text) != text:
            return None
    return labels


def label_text(cell: Any) -> str:
    """A label as text; of Kaggle's ``n01751748 111 108 230 366 n01751748 …``, boxes with their synset, the synset."""
    text = str(cell).strip()
    head = text.split(" ", 1)[0]
    return head if _SYNSET.fullmatch(head) and len(text.split()) % 5 == 0 else text


def _ground_truth(path: Path) -> LabelFile:
    """The devkit's numbers by image, which are not in the order of the synsets: ``meta.mat`` beside it says which is which."""
    numbers = [int(line) for line in read_file(path, f"the label file {path}").split()]
    meta = next((file for parent in (path.parent, path.parent / "data", path.parent.parent / "data") if (file := parent / "meta.mat").is_file()), None)
    if meta is None:
        message = f"{path} numbers its classes as the devkit does, and meta.mat, which says what they are, is not beside it"
        raise DatasetError("no-class-list", message, "put meta.mat of ILSVRC2012_devkit_t12/data beside it, or Kaggle's LOC_val_solution.csv")
    synsets = _devkit_synsets(meta)
    wrong = next((number for number in numbers if number not in synsets), None)
    if wrong is not None:
        raise DatasetError("label-out-of-range", f"{path} has a label {wrong}, which {meta} does not know", "take both from the same devkit")
    return LabelFile(path, {}, [synsets[number] for number in numbers])


def _devkit_synsets(meta: Path) -> dict[int, str]:
    from scipy.io import loadmat

    if meta.stat().st_size > LARGEST_META:
        raise DatasetError("no-class-list", f"{meta} is larger than the devkit's", "take it from ILSVRC2012_devkit_t12")
    try:
        synsets = loadmat(str(meta), squeeze_me=True)["synsets"]
        return {int(entry["ILSVRC2012_ID"]): str(entry["WNID"]) for entry in synsets}
    except Exception as error:  # the MATLAB reader raises whatever it stumbles on
        raise DatasetError("no-class-list", f"{meta} can't be read: {error}", "take it from ILSVRC2012_devkit_t12") from error
