"""Exactly the files that are there: names mean nothing, links are followed, what is left out is counted."""

import io
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from efficient360.datasets.data_findings import data_findings
from efficient360.datasets.folder_listing import HIDDEN, LOOP, NO_IMAGE, OUTSIDE, UNREAD, in_order, list_classes, list_images
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.references import card_of
from efficient360.datasets.spec import DatasetSpec
from efficient360.datasets.split_folders import split_folders
from efficient360.datasets.split_names import choose_split
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing

NETWORK = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", Preprocessing((3, 8, 8), (0.5,) * 3, (0.5,) * 3), 2, ("cat", "dog"))


def image(kind: str = "PNG", value: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (value, value, value)).save(stream, kind)
    return stream.getvalue()


def put(root: Path, *names: str, data: bytes | None = None) -> None:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(image(value=i) if data is None else data)


def ids(root: Path) -> list[str]:
    return list(list_images(root, root, list_classes(root)).ids)


def code(call, *arguments) -> str:
    with pytest.raises(DatasetError) as caught:
        call(*arguments)
    assert caught.value.hint
    return caught.value.code


@pytest.mark.parametrize("name", ["train_001.png", "ILSVRC2012_val_0001.JPEG", "test-2.png", "evaluation.png", "validation/dev.png", "no ending", "odd.dat"])
def test_a_files_name_does_not_matter(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"cat/{name}", "cat/a.png", "dog/b.png")
    assert sorted(ids(tmp_path)) == sorted([f"cat/{name}", "cat/a.png", "dog/b.png"])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
def test_every_format_is_told_by_content(tmp_path: Path, kind: str) -> None:
    put(tmp_path, "cat/0", data=image(kind))
    assert ids(tmp_path) == ["cat/0"]


@pytest.mark.parametrize("name", ["train", "test", "val", "test tube", "valley"])
def test_a_class_may_be_called_like_a_split(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"{name}/a.png", "cat/b.png")
    assert split_folders(tmp_path) == {}
    assert list_classes(tmp_path) == sorted(["cat", name])


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/x.png", "elsewhere/deep/y.png", "data/cat/a.png")
    (tmp_path / "data" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "cat" / "b.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    (tmp_path / "data" / "cat" / "again").symlink_to(tmp_path / "data")
    listing = list_images(tmp_path / "data", tmp_path / "data", ["cat", "dog"])
    assert list(listing.ids) == ["cat/a.png", "cat/b.png", "dog/x.png", "dog/deep/y.png"]
    assert listing.skipped == {LOOP: 1}


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    put(tmp_path, "cat/a.png", "cat/.b.png", "cat/Thumbs.db", ".hidden/c.png", "loose.png")
    put(tmp_path, "cat/notes.txt", "cat/more.zip", "cat/photo.heic", data=b"not an image")
    listing = list_images(tmp_path, tmp_path, ["cat"])
    assert list(listing.ids) == ["cat/a.png"]
    assert listing.skipped == {HIDDEN: 3, OUTSIDE: 1, NO_IMAGE: 2, UNREAD: 1}
    assert listing.examples[NO_IMAGE] == ["cat/more.zip", "cat/notes.txt"]


def test_what_can_not_be_read_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "cat/a.png", "dog/b.png")

    def forbidden(folder: str | Path):
        if Path(folder).name == "dog":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    real = os.scandir
    monkeypatch.setattr(os, "scandir", forbidden)
    assert code(ids, tmp_path) == "unreadable-folder"


def test_pipes_devices_sockets_and_dead_links_are_named_and_never_opened(tmp_path: Path) -> None:
    put(tmp_path, "cat/a.png")
    odd = tmp_path / "cat" / "b.png"
    os.mkfifo(odd)
    assert code(ids, tmp_path) == "not-a-file"
    odd.unlink()
    odd.symlink_to("/dev/zero")
    assert code(ids, tmp_path) == "not-a-file"
    odd.unlink()
    odd.symlink_to(tmp_path / "nowhere")
    assert code(ids, tmp_path) == "missing-image"
    odd.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(odd.parent)  # a socket's path must be short
        try:
            server.bind("b.png")
        finally:
            os.chdir(here)
        assert code(ids, tmp_path) == "not-a-file"


def test_a_name_that_is_no_text_is_spelt_out(tmp_path: Path) -> None:
    put(tmp_path, "cat/" + os.fsdecode(b"caf\xe9.png"))
    assert ids(tmp_path) == ["cat/caf\\xe9.png"]
    listing = list_images(tmp_path, tmp_path, ["cat"])
    assert Path(listing.files[0]).read_bytes() == image()


@given(st.lists(st.integers(0, 10**8), unique=True, min_size=1))
def test_numbers_stand_in_numeric_order(numbers: list[int]) -> None:
    assert in_order([str(n) for n in numbers]) == [str(n) for n in sorted(numbers)]


def test_other_names_stand_in_the_order_of_their_characters() -> None:
    assert in_order(["b", "10", "9", "a"]) == ["10", "9", "a", "b"]


@pytest.mark.parametrize(
    ("folders", "asked", "chosen"),
    [
        (("train", "test"), "", "test"),
        (("training", "Testing"), "", "Testing"),
        (("train", "valid"), "", "valid"),
        (("train", "val", "test"), "validation", "val"),
        (("train", "val", "test"), "train", "train"),
        (("TRAIN", "VAL"), "val", "VAL"),
        (("Training_Set", "Test_Set"), "", "Test_Set"),
        (("train", "eval"), "test", "eval"),
    ],
)
def test_splits_by_their_exact_names_in_any_case(tmp_path: Path, folders: tuple[str, ...], asked: str, chosen: str) -> None:
    for name in folders:
        put(tmp_path, f"{name}/cat/a.png", f"{name}/dog/b.png")
    splits = split_folders(tmp_path)
    assert set(splits) == set(folders)
    assert choose_split(str(tmp_path), list(splits), asked) == chosen


def test_an_exact_name_stands_before_a_looser_one(tmp_path: Path) -> None:
    put(tmp_path, "train/cat/a.png", "trainval/cat/b.png", "val/cat/c.png")
    assert list(split_folders(tmp_path)) == ["val", "train"]


def test_a_split_that_is_not_there_is_an_error_that_lists_those_that_are(tmp_path: Path) -> None:
    put(tmp_path, "train/cat/a.png", "test/cat/b.png")
    with pytest.raises(DatasetError, match="no split called 'val'") as caught:
        card_of(DatasetSpec(f"imagefolder:{tmp_path}", split="val"))
    assert caught.value.code == "unknown-split"
    assert "test, train" in caught.value.hint
    assert code(card_of, DatasetSpec(f"imagefolder:{tmp_path / 'test'}", split="val")) == "unknown-split"


def test_two_folders_of_one_split_or_classes_beside_splits_are_no_guess(tmp_path: Path) -> None:
    put(tmp_path, "a/val/cat/x.png", "a/valid/cat/y.png", "b/train/steam/x.png", "b/car/y.png")
    assert code(split_folders, tmp_path / "a") == "ambiguous-folder"
    assert code(split_folders, tmp_path / "b") == "ambiguous-folder"


def test_a_folder_without_training_images_has_no_training_split(tmp_path: Path) -> None:
    put(tmp_path, "plain/cat/a.png", "plain/dog/b.png", "both/test/cat/a.png", "both/test/dog/b.png", "both/Train/dog/c.png")
    assert open_dataset(DatasetSpec(f"imagefolder:{tmp_path}/plain"), NETWORK, 0).training is None
    assert open_dataset(DatasetSpec(f"imagefolder:{tmp_path}/both", split="train"), NETWORK, 0).training is None
    training = open_dataset(DatasetSpec(f"imagefolder:{tmp_path}/both"), NETWORK, 0).training
    assert training is not None
    assert list(training().ids) == ["Train/dog/c.png"]
    assert training().labels.tolist() == [1]


def test_all_splits_together_tell_which_classes_there_are(tmp_path: Path) -> None:
    put(tmp_path, "train/cat/a.png", "train/dog/b.png", "test/dog/c.png")
    dataset = open_dataset(DatasetSpec(f"imagefolder:{tmp_path}"), NETWORK, 0)
    assert list(dataset.examples.class_names) == ["cat", "dog"]
    assert dataset.examples.labels.tolist() == [1]
    assert [f.code for f in dataset.findings] == ["classes-without-images"]


def test_the_report_is_told_what_was_found(tmp_path: Path) -> None:
    put(tmp_path, "cat/a.png", "cat/b.png", "dog/c.png", "dog/.d.png")
    put(tmp_path, "dog/notes.txt", data=b"text")
    dataset = open_dataset(DatasetSpec(f"imagefolder:{tmp_path}"), NETWORK, 0)
    assert dataset.files["images per class"] == {"cat": 2, "dog": 1}
    assert dataset.files["left out"] == {HIDDEN: {"files": 1, "for example": ["dog/.d.png"]}, NO_IMAGE: {"files": 1, "for example": ["dog/notes.txt"]}}
    (finding,) = dataset.findings
    assert finding.code == "files-left-out"
    assert "dog/notes.txt" in finding.message


def test_the_same_image_under_two_labels_is_a_finding(tmp_path: Path) -> None:
    put(tmp_path, "cat/a.png", "cat/c.png", "dog/b.png")
    (tmp_path / "dog" / "b.png").write_bytes((tmp_path / "cat" / "a.png").read_bytes())
    dataset = open_dataset(DatasetSpec(f"imagefolder:{tmp_path}"), NETWORK, 0)
    (finding,) = data_findings(dataset.card, dataset.split, dataset.examples)
    assert finding.code == "contradicting-labels"
    assert "cat/a.png (cat) and dog/b.png (dog)" in finding.message


def test_a_training_split_that_is_evaluated_is_told(tmp_path: Path) -> None:
    put(tmp_path, "train/cat/a.png", "train/dog/b.png")
    dataset = open_dataset(DatasetSpec(f"imagefolder:{tmp_path}"), NETWORK, 0)
    assert [f.code for f in data_findings(dataset.card, dataset.split, dataset.examples)] == ["training-split-evaluated"]
