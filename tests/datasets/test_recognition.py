"""A wrong or plain name ends with what was found and the nearest thing that works."""

from pathlib import Path

import pytest

from efficient360.datasets.description import describe
from efficient360.datasets.recognition import read_reference
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError


def refused(text: str) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        read_reference(text)
    return caught.value


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("cifa10", "cifar10"),
        ("CIFAR-10", "cifar10"),
        ("imagenet", "imagenet-1k"),
        ("imagefoldr:photos", "imagefolder:photos"),
        ("webdatset:a.tar", "webdataset:a.tar"),
        ("timm/oxford-iiit-pet", "hub:timm/oxford-iiit-pet"),
    ],
)
def test_the_nearest_is_offered(typed: str, offered: str) -> None:
    error = refused(typed)
    assert error.code == "unknown-dataset"
    assert f"did you mean {offered}" in error.hint


def test_a_path_with_a_slip_is_offered_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    error = refused(f"{tmp_path}/photo")
    assert f"did you mean {tmp_path}/photos" in error.hint
    assert "has nothing of that name" in error.message


def test_a_folder_of_data_sets_names_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test.parquet").write_bytes(b"")
    error = refused(str(tmp_path))
    assert error.code == "unreadable-dataset"
    assert f"parquet:{tmp_path}/a" in error.hint


def test_what_can_be_read_in_several_ways_names_them_all(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"")
    (tmp_path / "a.parquet").write_bytes(b"")
    error = refused(str(tmp_path))
    assert error.code == "ambiguous-dataset"
    assert f"parquet:{tmp_path}" in error.hint
    assert f"webdataset:{tmp_path}" in error.hint


@pytest.mark.parametrize(("name", "words"), [("a.zip", "packed"), ("a.pkl", "pickle"), ("a.h5", "HDF5"), ("a.png", "single image"), ("a.odd", "no kind")])
def test_files_of_no_kind_say_what_they_are(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    error = refused(str(tmp_path / name))
    assert error.code == "unreadable-dataset"
    assert words in error.message
    assert error.hint


def test_a_checkpoint_as_data_is_told(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-5").mkdir()
    (tmp_path / "checkpoint-5" / "model.safetensors").write_bytes(b"x")
    (tmp_path / "trainer_state.json").write_text("{}")
    for path in (tmp_path, tmp_path / "checkpoint-5" / "model.safetensors"):
        error = refused(str(path))
        assert error.code == "unreadable-dataset"
        assert error.hint == f"efficient360 evaluate {path} --dataset DATA"


def test_a_home_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "x.parquet").write_bytes(b"")
    assert read_reference("~/x.parquet").text == f"parquet:{tmp_path}/x.parquet"
    assert read_reference("parquet:~/x.parquet").text == f"parquet:{tmp_path}/x.parquet"
    assert read_reference("parquet:~/x.parquet").finding is None


@pytest.mark.parametrize("text", ["", " ", "\0", "x" * 5000, "*", "a/" * 3000])
def test_no_text_is_a_traceback(text: str) -> None:
    assert refused(text).code in ("unknown-dataset", "no-files")


def test_a_folder_around_class_folders_is_no_class(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "a.png").write_bytes(b"")
    error = refused(str(tmp_path))
    assert error.code == "unreadable-dataset"
    assert f"did you mean imagefolder:{tmp_path}/photos" in error.hint


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("imagefolder:{}/list.csv", "manifest:{}/list.csv"),
        ("imagefolder:{}/hub", "parquet:{}/hub"),
        ("parquet:{}/photos", "imagefolder:{}/photos"),
        ("imagenet:{}/phots", "imagenet:{}/photos"),
        ("manifest:{}/photos", "imagefolder:{}/photos"),
        ("webdataset:{}/hub", "parquet:{}/hub"),
        ("save_to_disk:{}/photos", "imagefolder:{}/photos"),
        ("npz:{}/list.csv", "manifest:{}/list.csv"),
        ("torchvision:{}/photos", "imagefolder:{}/photos"),
    ],
)
def test_a_layout_that_is_another_is_offered_as_what_it_is(tmp_path: Path, typed: str, offered: str) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "a.png").write_bytes(b"")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "test.parquet").write_bytes(b"")
    (tmp_path / "list.csv").write_text("path,label\na.png,cat\n")
    spec = DatasetSpec(typed.format(tmp_path))
    with pytest.raises(DatasetError) as caught:
        describe(spec)
    assert f"did you mean {offered.format(tmp_path)}?" in caught.value.hint


def test_images_without_labels_are_offered_the_list_beside_them(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    (tmp_path / "tags.csv").write_text("a,b\n1,2\n")
    error = refused(f"{tmp_path}/images")
    assert error.code == "no-labels"
    assert f"did you mean manifest:{tmp_path}/tags.csv" in error.hint
