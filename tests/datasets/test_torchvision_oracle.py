"""Folders that torchvision downloads: the same images and labels as torchvision's own classes read."""

import dataclasses
import gzip
from pathlib import Path

import numpy as np
import pytest
from layout_zoo import CASES, CIFAR, Picture
from scipy.io import savemat
from torchvision.datasets import CIFAR10, MNIST, STL10, SVHN, ImageFolder, cifar, svhn

from efficient360.datasets.digits import digits
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing

TEN = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", Preprocessing((3, 32, 32), (0.5,) * 3, (0.5,) * 3), 10, CIFAR)
PICTURES = [Picture(row, i * 7 % 10) for i, row in enumerate(cell["bytes"] for cell in digits("test")[:12]["image"])]
BY_NAME = {case.name: case for case in CASES}


def read(spec: DatasetSpec) -> list[tuple[np.ndarray, int]]:
    examples = open_dataset(spec, TEN, 0).examples
    return [(np.round(image.numpy() * 255), int(label)) for batch in examples.batches(5) for image, label in zip(batch.images, batch.labels, strict=True)]


def same(ours: list[tuple[np.ndarray, int]], theirs: list) -> None:
    assert [label for _, label in ours] == [int(label) for _, label in theirs]
    for (pixels, _), (image, _) in zip(ours, theirs, strict=True):
        assert np.array_equal(pixels, np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_cifar_is_read_as_torchvision_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BY_NAME["torchvision: cifar-10-batches-py"].build(tmp_path, PICTURES)
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda _self: True)
    monkeypatch.setattr(cifar, "check_integrity", lambda *_: True)
    theirs = CIFAR10(str(tmp_path), train=False)
    same(read(DatasetSpec(f"torchvision:{tmp_path}")), [theirs[i] for i in range(len(theirs))])
    assert theirs.classes == list(CIFAR)


def test_mnist_is_read_as_torchvision_reads_it(tmp_path: Path) -> None:
    small = [Picture(picture.data, picture.label) for picture in PICTURES]
    BY_NAME["torchvision: MNIST/raw, gzipped"].build(tmp_path, small)
    for packed in (tmp_path / "MNIST" / "raw").glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    theirs = MNIST(str(tmp_path), train=False)
    same(read(DatasetSpec(f"torchvision:{tmp_path}")), [theirs[i] for i in range(len(theirs))])


def test_class_folders_are_read_as_torchvision_reads_them(tmp_path: Path) -> None:
    BY_NAME["class folders"].build(tmp_path, PICTURES)
    theirs = ImageFolder(str(tmp_path))
    same(read(DatasetSpec(f"imagefolder:{tmp_path}")), [theirs[i] for i in range(len(theirs))])


def test_stl10_is_read_as_torchvision_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for split, n in (("test", 4), ("train", 2)):
        (folder / f"{split}_X.bin").write_bytes(random.integers(0, 256, (n, 3, 96, 96), dtype=np.uint8).tobytes())
        (folder / f"{split}_y.bin").write_bytes(bytes([10, 1, 3, 7][:n]))
    (folder / "class_names.txt").write_text("\n".join(CIFAR))
    monkeypatch.setattr(STL10, "_check_integrity", lambda _self: True)
    theirs = STL10(str(tmp_path), split="test")
    big = dataclasses.replace(TEN, preprocessing=Preprocessing((3, 96, 96), (0.5,) * 3, (0.5,) * 3))
    examples = open_dataset(DatasetSpec(str(tmp_path)), big, 0).examples
    (batch,) = examples.batches(4)
    same([(np.round(image.numpy() * 255), int(label)) for image, label in zip(batch.images, batch.labels, strict=True)], [theirs[i] for i in range(4)])
    (folder / "test_y.bin").write_bytes(b"\1")
    with pytest.raises(DatasetError) as caught:
        open_dataset(DatasetSpec(str(tmp_path)), big, 0)
    assert caught.value.code == "lengths-differ"


def test_svhn_is_read_as_torchvision_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 5), dtype=np.uint8)
    savemat(tmp_path / "test_32x32.mat", {"X": pixels, "y": np.array([[10], [1], [9], [2], [10]], dtype=np.uint8)})
    monkeypatch.setattr(SVHN, "_check_integrity", lambda _self: True)
    monkeypatch.setattr(svhn, "check_integrity", lambda *_: True)
    theirs = SVHN(str(tmp_path), split="test")
    same(read(DatasetSpec(f"torchvision:{tmp_path}")), [theirs[i] for i in range(5)])
    (tmp_path / "test_32x32.mat").write_bytes(b"no matrix")
    with pytest.raises(DatasetError) as caught:
        read(DatasetSpec(f"torchvision:{tmp_path}"))
    assert caught.value.code == "unreadable-dataset"
