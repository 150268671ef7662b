"""The same images in every layout that people hold: builders that write them, each with the spec that opens what was written."""

import csv
import gzip
import io
import json
import pickle
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image as Pillow

from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List
from efficient360.datasets.class_names import imagenet_1k
from efficient360.datasets.spec import DatasetSpec

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Picture:
    """An image as it is stored, and the index of its class among the checkpoint's."""

    data: bytes
    label: int
    ending: str = ".png"

    @property
    def pixels(self) -> NDArray[np.uint8]:
        return np.asarray(Pillow.open(io.BytesIO(self.data)).convert("RGB"))


Build = Callable[[Path, Sequence[Picture]], DatasetSpec]


@dataclass(frozen=True)
class Case:
    """A layout.

    Args:
        name: What it is.
        build: Writes the pictures into a folder; the class names are those of the checkpoint.
        imagenet: Whether the checkpoint is a nameless one of 1,000 classes; else it has CIFAR-10's names.
        grey: Whether it stores grey pictures of 28 × 28.
        findings: Codes of findings that must be there.
        code: Of the error that is right, ``""`` where it is read.
    """

    name: str
    build: Build
    imagenet: bool = False
    grey: bool = False
    findings: tuple[str, ...] = ()
    code: str = ""


CASES: list[Case] = []


def case(name: str, *, imagenet: bool = False, grey: bool = False, findings: tuple[str, ...] = (), code: str = "") -> Callable[[Build], Build]:
    """Adds a builder to :data:`CASES`."""

    def add(build: Build) -> Build:
        CASES.append(Case(name, build, imagenet, grey, findings, code))
        return build

    return add


def put(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def synset(picture: Picture) -> str:
    return imagenet_1k()[picture.label]


def val_name(i: int, picture: Picture) -> str:
    return f"ILSVRC2012_val_{i + 1:08d}{picture.ending}"


def folders(root: Path, pictures: Sequence[Picture], name: Callable[[Picture], str], file: Callable[[int, Picture], str] = val_name) -> None:
    for i, picture in enumerate(pictures):
        put(root / name(picture) / file(i, picture), picture.data)


def flat(folder: Path, pictures: Sequence[Picture]) -> None:
    for i, picture in enumerate(pictures):
        put(folder / val_name(i, picture), picture.data)


def cifar(picture: Picture) -> str:
    return CIFAR[picture.label]


def imagefolder(root: Path, split: str = "") -> DatasetSpec:
    return DatasetSpec(f"imagefolder:{root}", split=split)


# ---- ImageNet as it lies on disks


@case("imagenet: val/ and train/ of synset folders", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "val", pictures, synset)
    folders(root / "train", pictures[:2], synset)
    return DatasetSpec(f"imagenet:{root}")


@case("imagefolder: of the same", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "val", pictures, synset)
    return imagefolder(root)


@case("imagefolder:val itself", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "val", pictures, synset)
    return imagefolder(root / "val")


@case("a plain path to it, ending in a slash", imagenet=True, findings=("dataset-recognised",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "val", pictures, synset)
    return DatasetSpec(f"{root}/")


@case("ILSVRC/Data/CLS-LOC with class folders", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "ILSVRC" / "Data" / "CLS-LOC" / "val", pictures, synset)
    folders(root / "ILSVRC" / "Data" / "CLS-LOC" / "train", pictures[:3], synset)
    flat(root / "ILSVRC" / "Data" / "CLS-LOC" / "test", pictures[:2])
    return DatasetSpec(f"imagenet:{root}")


def kaggle(root: Path, pictures: Sequence[Picture]) -> None:
    """Kaggle's download: a flat val/ and the CSV of boxes at the top, in another order than the files."""
    flat(root / "ILSVRC" / "Data" / "CLS-LOC" / "val", pictures)
    folders(root / "ILSVRC" / "Data" / "CLS-LOC" / "train", pictures[:3], synset)
    rows = [f"{Path(val_name(i, p)).stem},{synset(p)} 1 2 3 4 {synset(p)} 5 6 7 8 " for i, p in enumerate(pictures)]
    put(root / "LOC_val_solution.csv", "\n".join(["ImageId,PredictionString", *reversed(rows)]))


@case("Kaggle's ILSVRC with LOC_val_solution.csv", imagenet=True, findings=("labels-from-file",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    kaggle(root, pictures)
    return DatasetSpec(f"imagenet:{root}")


@case("imagenet-1k --data-dir of the same", imagenet=True, findings=("labels-from-file",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    kaggle(root, pictures)
    return DatasetSpec("imagenet-1k", root)


@case("imagefolder: of the flat val/ alone", imagenet=True, findings=("labels-from-file",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    kaggle(root, pictures)
    return imagefolder(root / "ILSVRC" / "Data" / "CLS-LOC" / "val")


@case("manifest: of LOC_val_solution.csv", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    kaggle(root, pictures)
    return DatasetSpec(f"manifest:{root}/LOC_val_solution.csv", root / "ILSVRC" / "Data" / "CLS-LOC" / "val")


def devkit(root: Path, pictures: Sequence[Picture]) -> None:
    """The challenge's own: a flat val/ and the devkit, whose numbers are in another order than the synsets."""
    from scipy.io import savemat

    flat(root / "val", pictures)
    order = np.random.default_rng(0).permutation(1000)
    entries = np.zeros(1000, dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")])
    for number, place in enumerate(order):
        entries[number] = (number + 1, imagenet_1k()[place], "", "", 0)
    number_of = {int(place): number + 1 for number, place in enumerate(order)}
    folder = root / "ILSVRC2012_devkit_t12" / "data"
    put(folder / "ILSVRC2012_validation_ground_truth.txt", "".join(f"{number_of[p.label]}\n" for p in pictures))
    savemat(folder / "meta.mat", {"synsets": entries.reshape(-1, 1)})


@case("flat val/ with the devkit's ground truth", imagenet=True, findings=("labels-from-file",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    devkit(root, pictures)
    return DatasetSpec(f"imagenet:{root}")


@case("ground truth without meta.mat", imagenet=True, code="no-class-list")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    devkit(root, pictures)
    (root / "ILSVRC2012_devkit_t12" / "data" / "meta.mat").unlink()
    return DatasetSpec(f"imagenet:{root}")


@case("flat val/ with val.txt: file and number", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    flat(root / "val", pictures)
    put(root / "val.txt", "".join(f"{val_name(i, p)} {p.label}\n" for i, p in enumerate(pictures)))
    return DatasetSpec(f"imagenet:{root}")


@case("flat val/ with val.txt beside class folders in train/", imagenet=True, findings=("labels-from-file",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    flat(root / "val", pictures)
    folders(root / "train", pictures, synset)
    places = sorted({synset(p) for p in pictures})
    put(root / "val.txt", "".join(f"{val_name(i, p)} {places.index(synset(p))}\n" for i, p in enumerate(pictures)))
    return imagefolder(root)


@case("flat val/ with a synset a line", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    flat(root / "val", pictures)
    put(root / "imagenet_2012_validation_synset_labels.txt", "".join(f"{synset(p)}\n" for p in pictures))
    return DatasetSpec(f"imagenet:{root}")


@case("flat val/ without any labels", imagenet=True, code="no-labels")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    flat(root / "val", pictures)
    return DatasetSpec(f"imagenet:{root / 'val'}")


@case("ImageNet-V2's numbered folders", imagenet=True, findings=("imagenet-order",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "imagenetv2-matched-frequency-format-val", pictures, lambda p: str(p.label))
    return DatasetSpec(f"imagenet:{root}/imagenetv2-matched-frequency-format-val")


@case("ImageNet-R / -A: synset folders beside a README", imagenet=True, findings=("files-left-out", "fewer-classes"))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "imagenet-r", pictures, synset)
    put(root / "imagenet-r" / "README.txt", "200 classes")
    return DatasetSpec(f"imagenet:{root}/imagenet-r")


@case("ImageNet-Sketch: sketch/ in the folder", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "sketch", pictures, synset)
    return DatasetSpec(f"imagenet:{root}")


def tiny(root: Path, pictures: Sequence[Picture]) -> None:
    """Tiny ImageNet as it is downloaded."""
    for i, picture in enumerate(pictures):
        put(root / "val" / "images" / f"val_{i}.JPEG", picture.data)
        put(root / "train" / synset(picture) / "images" / f"{synset(picture)}_{i}.JPEG", picture.data)
        put(root / "train" / synset(picture) / f"{synset(picture)}_boxes.txt", "a.JPEG\t0\t0\t63\t63\n")
        put(root / "test" / "images" / f"test_{i}.JPEG", picture.data)
    put(root / "val" / "val_annotations.txt", "".join(f"val_{i}.JPEG\t{synset(p)}\t0\t32\t44\t62\n" for i, p in enumerate(pictures)))
    put(root / "wnids.txt", "".join(f"{name}\n" for name in sorted({synset(p) for p in pictures})))


@case("Tiny ImageNet's val/images and annotations", imagenet=True, findings=("labels-from-file",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    tiny(root, pictures)
    return DatasetSpec(f"imagenet:{root}")


@case("Tiny ImageNet's unlabelled test/", imagenet=True, code="no-labels")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    tiny(root, pictures)
    return DatasetSpec(f"imagenet:{root}", split="test")


@case("ILSVRC2012_img_val beside ILSVRC2012_img_train", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "ILSVRC2012_img_val", pictures, synset)
    folders(root / "ILSVRC2012_img_train", pictures[:2], synset)
    return DatasetSpec(f"imagenet:{root}")


# ---- image folders


@case("class folders")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root, pictures, cifar)
    return imagefolder(root)


@case("a plain path to class folders", findings=("dataset-recognised",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "photos", pictures, cifar)
    return DatasetSpec(str(root / "photos"))


@case("Test_Set beside Training_Set", findings=())
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "Test_Set", pictures, cifar)
    folders(root / "Training_Set", pictures[:2], cifar)
    return imagefolder(root)


@case("VALID asked for as validation")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "VALID", pictures, cifar)
    folders(root / "TRAIN", pictures[:2], cifar)
    return imagefolder(root, split="validation")


@case("nested classes, links, endings in capitals", findings=("classes-matched-loosely",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "store", pictures, lambda p: f"{cifar(p).upper()}/2024/a", lambda i, p: f"{i}{p.ending.upper()}")
    (root / "data").mkdir()
    for child in (root / "store").iterdir():
        (root / "data" / child.name).symlink_to(child)
    return imagefolder(root / "data")


@case("a flat test/ with labels.csv in it")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    flat(root / "test", pictures)
    put(root / "test" / "labels.csv", "filename,label\n" + "".join(f"{val_name(i, p)},{cifar(p)}\n" for i, p in enumerate(pictures)))
    return imagefolder(root)


@case("images/ beside labels.csv, by plain path, names doubled in other folders", findings=("dataset-recognised", "labels-from-file"))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    flat(root / "images", pictures)
    rows = [f"images/{val_name(i, p)},{cifar(p)}\nelsewhere/{val_name(i, p)},other\n" for i, p in enumerate(pictures)]
    put(root / "labels.csv", "filename,label\n" + "".join(rows))
    return DatasetSpec(str(root))


@case("boxes of several classes an image are no labels", code="no-labels")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    flat(root / "val", pictures)
    put(root / "val" / "annotations.csv", "filename,class\n" + "".join(f"{val_name(i, p)},cat\n{val_name(i, p)},dog\n" for i, p in enumerate(pictures)))
    return imagefolder(root / "val")


# ---- lists


def listed(root: Path, pictures: Sequence[Picture]) -> list[tuple[str, str]]:
    flat(root / "images", pictures)
    return [(f"images/{val_name(i, p)}", cifar(p)) for i, p in enumerate(pictures)]


@case("CSV of paths and labels")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    with (root / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *listed(root, pictures)])
    return DatasetSpec(f"manifest:{root}/list.csv")


@case("a plain path to a CSV with semicolons and a BOM", findings=("dataset-recognised",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    put(root / "list.csv", "\ufeffImage Path;Class Name\n" + "".join(f"{path};{label}\n" for path, label in listed(root, pictures)))
    return DatasetSpec(f"{root}/list.csv")


@case("TSV without a header", findings=("columns-found",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    put(root / "list.tsv", "".join(f"{path}\t{label}\n" for path, label in listed(root, pictures)))
    return DatasetSpec(f"manifest:{root}/list.tsv")


@case("JSON lines with a split and a group column")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    rows = [{"file_name": path, "label": label, "split": "test", "group": "a"} for path, label in listed(root, pictures)]
    put(root / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in [*rows, {**rows[0], "split": "train"}]))
    return DatasetSpec(f"manifest:{root}/metadata.jsonl")


@case("CSV with folds, one asked for as fold=1")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    rows = listed(root, pictures)
    put(root / "folds.csv", "path,label,fold\n" + "".join(f"{path},{label},1\n" for path, label in rows) + f"{rows[0][0]},{rows[0][1]},2\n")
    return DatasetSpec(f"manifest:{root}/folds.csv", split="fold=1")


@case("CSV with folds, one that is not there", code="empty-split")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    put(root / "folds.csv", "path,label,fold\n" + "".join(f"{path},{label},1\n" for path, label in listed(root, pictures)))
    return DatasetSpec(f"manifest:{root}/folds.csv", split="fold=7")


@case("JSON: one mapping")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    put(root / "labels.json", json.dumps(dict(listed(root, pictures))))
    return DatasetSpec(f"manifest:{root}/labels.json")


@case("JSON in COCO's form, as iNaturalist has it")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    rows = listed(root, pictures)
    coco = {
        "images": [{"id": i, "file_name": path} for i, (path, _) in enumerate(rows)],
        "annotations": [{"image_id": i, "category_id": CIFAR.index(label) + 7} for i, (_, label) in enumerate(rows)],
        "categories": [{"id": i + 7, "name": name} for i, name in enumerate(CIFAR)],
    }
    put(root / "val.json", json.dumps(coco))
    return DatasetSpec(f"manifest:{root}/val.json")


@case("Kaggle: train.csv with ids, and the folder train/")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    flat(root / "train", pictures)
    put(root / "train.csv", "id,breed\n" + "".join(f"{Path(val_name(i, p)).stem},{cifar(p)}\n" for i, p in enumerate(pictures)))
    return DatasetSpec(f"manifest:{root}/train.csv")


@case("CSV with one column of 0 and 1 a class", findings=("one-hot-labels",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    rows = [",".join([path, *("1.0" if label == name else "0.0" for name in CIFAR)]) for path, label in listed(root, pictures)]
    put(root / "truth.csv", "\n".join([",".join(("image", *CIFAR)), *rows]))
    return DatasetSpec(f"manifest:{root}/truth.csv")


@case("CSV with several 1s a row", code="multi-label")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    put(root / "truth.csv", "image,cat,dog,bird\n" + "".join(f"{path},1,1,0\n" for path, _ in listed(root, pictures)))
    return DatasetSpec(f"manifest:{root}/truth.csv")


@case("CSV with a row for each box of one class", findings=("repeated-rows",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    rows = listed(root, pictures)
    put(root / "boxes.csv", "image,class,x\n" + "".join(f"{path},{label},{x}\n" for path, label in rows for x in (1, 2)))
    return DatasetSpec(f"manifest:{root}/boxes.csv")


@case("CSV with a row for each of several labels", code="multi-label")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    rows = listed(root, pictures)
    put(root / "tags.csv", "image,label\n" + "".join(f"{path},{tag}\n" for path, _ in rows for tag in ("cat", "dog")))
    return DatasetSpec(f"manifest:{root}/tags.csv")


@case("CSV whose images are elsewhere, with --data-dir")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    rows = listed(root / "photos", pictures)
    put(root / "lists" / "test.csv", "path,target\n" + "".join(f"{path},{CIFAR.index(label)}\n" for path, label in rows))
    return DatasetSpec(f"csv:{root}/lists/test.csv", root / "photos")


@case("CSV that names a file outside", code="path-outside")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    listed(root / "data", pictures)
    put(root / "data" / "list.csv", "path,label\n/etc/passwd.png,cat\n../x.png,dog\n")
    return DatasetSpec(f"manifest:{root}/data/list.csv")


@case("CSV that names files that are not there", code="missing-image")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    put(root / "list.csv", "path,label\n" + "".join(f"{path}x.png,{label}\n" for path, label in listed(root, pictures)))
    return DatasetSpec(f"manifest:{root}/list.csv")


@case("CSV with two columns of labels", code="ambiguous-columns")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    put(root / "list.csv", "path,species,breed\n" + "".join(f"{path},{label},{i % 3}\n" for i, (path, label) in enumerate(listed(root, pictures))))
    return DatasetSpec(f"manifest:{root}/list.csv")


# ---- Parquet


def table(root: Path, images: list[Any], labels: list[Any], image: str = "image", label: str = "label", **more: list[Any]) -> DatasetSpec:
    pq.write_table(pa.table({image: images, label: labels, **more}), root / "a.parquet")
    return DatasetSpec(f"parquet:{root}/a.parquet")


@case("Parquet: image as bytes, label as name")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    return table(root, [p.data for p in pictures], [cifar(p) for p in pictures])


@case("Parquet: other column names", findings=("columns-found",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    return table(root, [{"bytes": p.data, "path": "a.png"} for p in pictures], [p.label for p in pictures], "picture", "species")


@case("Parquet: a column of paths")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    rows = listed(root, pictures)
    return table(root, [path for path, _ in rows], [label for _, label in rows], "file_name", "category")


@case("Parquet: whole-number floats")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    return table(root, [p.data for p in pictures], [float(p.label) for p in pictures])


@case("Parquet: lists of one label")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    return table(root, [p.data for p in pictures], [[p.label] for p in pictures])


@case("Parquet: numbers from 1", findings=("labels-from-one",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    return table(root, [p.data for p in pictures], [p.label + 1 for p in pictures])


@case("Parquet: lists of several labels", code="multi-label")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    return table(root, [p.data for p in pictures], [[p.label, 3, 4] for p in pictures])


@case("Parquet: fine and coarse labels", code="ambiguous-columns")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    return table(root, [p.data for p in pictures], [p.label for p in pictures], "img", "fine_label", coarse_label=[p.label // 5 for p in pictures])


@case("Parquet: the same with --label-column")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    table(root, [p.data for p in pictures], [p.label for p in pictures], "img", "fine_label", coarse_label=[p.label // 5 for p in pictures])
    return DatasetSpec(f"parquet:{root}/a.parquet", label_column="fine_label")


def hugging_face(pictures: Sequence[Picture], label: Any = None) -> Dataset:
    features = Features({"img": Image(), "label": label or ClassLabel(names=list(CIFAR))})
    labels = [[p.label] if isinstance(label, List) else p.label for p in pictures]
    return Dataset.from_dict({"img": [{"bytes": p.data, "path": None} for p in pictures], "label": labels}, features=features)


HUB_README = (
    """---
dataset_info:
  features:
  - name: img
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
"""
    + "".join(f"          '{i}': {name}\n" for i, name in enumerate(CIFAR))
    + """  splits:
  - name: test
    num_bytes: 1
    num_examples: 20
configs:
- config_name: default
  data_files:
  - split: test
    path: data/test-*
---
"""
)


@case("a copy of a hub repository: data/test-*.parquet", findings=("dataset-recognised",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    (root / "data").mkdir()
    hugging_face(pictures).to_parquet(root / "data" / "test-00000-of-00001.parquet")
    hugging_face(pictures[:3]).to_parquet(root / "data" / "train-00000-of-00001.parquet")
    put(root / "README.md", "---\n---\n")
    return DatasetSpec(str(root))


# ---- other libraries' own


@case("save_to_disk: one split")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    hugging_face(pictures).save_to_disk(root / "saved")
    return DatasetSpec(f"save_to_disk:{root}/saved")


@case("save_to_disk: several, by plain path, labels in lists", findings=("dataset-recognised",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    label = List(ClassLabel(names=list(CIFAR)))
    DatasetDict({"train": hugging_face(pictures[:2], label), "test": hugging_face(pictures, label)}).save_to_disk(root / "saved")
    return DatasetSpec(str(root / "saved"))


def tar(path: Path, members: Sequence[tuple[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))


@case("WebDataset: key.png and key.cls, braces")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    for shard in range(2):
        part = [(i, p) for i, p in enumerate(pictures) if i % 2 == shard]
        tar(root / f"test-{shard:03d}.tar", [m for i, p in part for m in ((f"{i:05d}{p.ending}", p.data), (f"{i:05d}.cls", str(p.label).encode()))])
    return DatasetSpec(f"webdataset:{root}/test-{{000..001}}.tar")


@case("WebDataset: labels in JSON, a pickle beside, a plain path", findings=("dataset-recognised",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    members = [
        member
        for i, p in enumerate(pictures)
        for member in ((f"a/{i}.meta.pyd", b"\x80\x04never"), (f"a/{i}{p.ending}", p.data), (f"a/{i}.json", json.dumps({"label": cifar(p)}).encode()))
    ]
    tar(root / "shards" / "0.tar", members)
    return DatasetSpec(str(root / "shards"))


@case("WebDataset: images without labels", code="no-labels")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    tar(root / "a.tar", [(f"{cifar(p)}/{i}{p.ending}", p.data) for i, p in enumerate(pictures)])
    return DatasetSpec(f"webdataset:{root}/a.tar")


def python2_pickle(value: Any) -> bytes:
    """A pickle as Python 2 wrote it, of which CIFAR's batches are: texts are byte strings, arrays hold their bytes as one."""
    return b"\x80\x02" + _python2(value) + b"."


def _python2(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"}" + b"".join(_python2(key) + _python2(item) + b"s" for key, item in value.items())
    if isinstance(value, list):
        return b"](" + b"".join(map(_python2, value)) + b"e"
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little", signed=True)
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode()
    shape = b"(" + b"".join(_python2(side) for side in value.shape) + b"t"
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = b"T" + value.nbytes.to_bytes(4, "little") + value.tobytes()
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    return empty + b"(K\x01" + shape + dtype + b"\x89" + data + b"tb"


def cifar_batches(folder: Path, pictures: Sequence[Picture]) -> None:
    """As torchvision's download, pickled by Python 2: arrays ``(n, 3072)`` with channels first."""
    data = np.stack([p.pixels.transpose(2, 0, 1).reshape(-1) for p in pictures])
    for name, part in (("test_batch", slice(None)), *((f"data_batch_{i}", slice(0, 1)) for i in range(1, 6))):
        batch = {"data": data[part], "labels": [p.label for p in pictures][part], "batch_label": "testing batch 1 of 1"}
        put(folder / name, python2_pickle(batch))
    put(folder / "batches.meta", python2_pickle({"label_names": list(CIFAR), "num_vis": 3072}))


@case("torchvision: cifar-10-batches-py")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    cifar_batches(root / "cifar-10-batches-py", pictures)
    return DatasetSpec(f"torchvision:{root}")


@case("cifar10 --data-dir of the same")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    cifar_batches(root / "cifar-10-batches-py", pictures)
    return DatasetSpec("cifar10", root)


@case("torchvision: a batch that would run code", code="unsafe-or-broken")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    cifar_batches(root, pictures)
    put(root / "test_batch", b"cos\nsystem\n(S'true'\ntR.")
    return DatasetSpec(f"torchvision:{root}")


@case("torchvision: cifar-100-python, coarse labels asked for")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    data = np.stack([p.pixels.transpose(2, 0, 1).reshape(-1) for p in pictures])
    batch = {b"data": data, b"fine_labels": [99 - p.label for p in pictures], b"coarse_labels": [p.label for p in pictures]}
    for name in ("test", "train"):
        put(root / "cifar-100-python" / name, pickle.dumps(batch, protocol=2))
    names = {b"fine_label_names": [b"%d" % i for i in range(100)], b"coarse_label_names": [name.encode() for name in CIFAR]}
    put(root / "cifar-100-python" / "meta", pickle.dumps(names, protocol=2))
    return DatasetSpec(str(root / "cifar-100-python"), label_column="coarse_label")


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape) + array.tobytes()


@case("torchvision: MNIST/raw, gzipped", grey=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    for word in ("t10k", "train"):
        put(root / "MNIST" / "raw" / f"{word}-images-idx3-ubyte.gz", gzip.compress(idx(np.stack([p.pixels[..., 0] for p in pictures]))))
        put(root / "MNIST" / "raw" / f"{word}-labels-idx1-ubyte", idx(np.array([p.label for p in pictures], dtype=np.uint8)))
    return DatasetSpec(str(root))


@case("npz: x_test and y_test, as Keras has them")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    x, y = np.stack([p.pixels for p in pictures]), np.array([p.label for p in pictures], dtype=np.uint8)
    np.savez(root / "data.npz", x_train=x[:2], y_train=y[:2], x_test=x, y_test=y[:, None])
    return DatasetSpec(f"npz:{root}/data.npz")


@case("npz: test_images and test_labels, floats, one-hot, by plain path", findings=("dataset-recognised", "one-hot-labels"))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    x = np.stack([p.pixels for p in pictures]).transpose(0, 3, 1, 2).astype(np.float32) / 255
    np.savez_compressed(root / "data.npz", test_images=x, test_labels=np.eye(10)[[p.label for p in pictures]])
    return DatasetSpec(f"{root}/data.npz")


@case("npz with objects in it", code="unreadable-dataset")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    np.savez(root / "data.npz", images=np.array([p.data for p in pictures], dtype=object), labels=np.arange(len(pictures)))
    return DatasetSpec(f"npz:{root}/data.npz")


# ---- local copies of a carded data set


@case("cifar10 --data-dir of class folders without splits", findings=("split-assumed",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root, pictures, cifar)
    return DatasetSpec("cifar10", root)


@case("imagenet-1k --data-dir of train/ alone", imagenet=True, code="no-local-split")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    folders(root / "train", pictures, synset)
    return DatasetSpec("imagenet-1k", root / "train")


@case("imagenet-1k --data-dir of Tiny ImageNet", imagenet=True, findings=("labels-from-file", "fewer-classes"))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    tiny(root, pictures)
    return DatasetSpec("imagenet-1k", root)


@case("imagenet-1k --data-dir of WebDataset shards", imagenet=True)
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    for split, part in (("train", pictures[:2]), ("validation", pictures)):
        members = [m for i, p in enumerate(part) for m in ((f"{i}{p.ending}", p.data), (f"{i}.cls", str(p.label).encode()))]
        tar(root / f"imagenet1k-{split}-00.tar", members)
    return DatasetSpec("imagenet-1k", root)


@case("cifar10 --data-dir of save_to_disk")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    DatasetDict({"train": hugging_face(pictures[:2]), "test": hugging_face(pictures)}).save_to_disk(root / "saved")
    return DatasetSpec("cifar10", root / "saved")


@case("cifar10 --data-dir of an npz")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    np.savez(root / "data.npz", x_test=np.stack([p.pixels for p in pictures]), y_test=np.array([p.label for p in pictures]))
    return DatasetSpec("cifar10", root / "data.npz")


@case("cifar10 --data-dir with other column names", findings=("columns-found",))
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    pq.write_table(pa.table({"photo": [p.data for p in pictures], "class_name": [cifar(p) for p in pictures]}), root / "test.parquet")
    return DatasetSpec("cifar10", root)


@case("cifar10 --data-dir and a column that it has not", code="no-column")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    pq.write_table(pa.table({"photo": [p.data for p in pictures], "class_name": [cifar(p) for p in pictures]}), root / "test.parquet")
    return DatasetSpec("cifar10", root, label_column="labels")


# ---- what is no data set, and the nearest that is


@case("a folder of images without labels", code="no-labels")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    flat(root, pictures)
    return DatasetSpec(str(root))


@case("a zip", code="unreadable-dataset")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    put(root / "data.zip", b"PK")
    return DatasetSpec(f"{root}/data.zip")


@case("a name that is nearly one", code="unknown-dataset")
def _(root: Path, pictures: Sequence[Picture]) -> DatasetSpec:
    return DatasetSpec("cifar-10x")
