"""Parquet: images in every form that is read, labels of every kind, files that are not what they were."""

import dataclasses
import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from efficient360.datasets.loader import Dataset, open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing

NETWORK = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", Preprocessing((3, 8, 8), (0.5,) * 3, (0.5,) * 3), 12)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def image(value: int, dtype: type = np.uint8, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, dtype)).save(stream, kind)
    return stream.getvalue()


def opened(path: Path, images: list, labels: list) -> Dataset:
    pq.write_table(pa.table({"image": images, "label": labels, "other": [b"x" * 100] * len(labels)}), path / "a.parquet")
    return open_dataset(DatasetSpec(f"parquet:{path}/a.parquet"), NETWORK, 0)


def greys(dataset: Dataset) -> list[float]:
    return [round(float(v) * 255) for batch in dataset.examples.batches(8) for v in batch.images.mean((1, 2, 3))]


def refused(call, *arguments: object) -> str:
    with pytest.raises(DatasetError) as caught:
        call(*arguments)
    assert caught.value.hint
    return caught.value.code


def test_an_image_is_bytes_a_struct_or_a_path(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "x.png").write_bytes(image(7))
    assert greys(opened(tmp_path, [image(3), image(4)], [0, 1])) == [3, 4]
    assert greys(opened(tmp_path, [{"bytes": image(5), "path": "nowhere"}], [0])) == [5]
    assert greys(opened(tmp_path, ["files/x.png"], [0])) == [7]
    assert greys(opened(tmp_path, [str(tmp_path / "files" / "x.png")], [0])) == [7]
    assert greys(opened(tmp_path, [{"bytes": None, "path": "files/x.png"}], [0])) == [7]


@pytest.mark.parametrize("path", ["/dev/zero", "/etc/passwd", "../secret.png", "files/../../secret.png", "link.png"])
def test_a_path_stays_in_the_datas_own_folder(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "data"
    (folder / "files").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(image(9))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    assert refused(lambda: greys(opened(folder, [path], [0]))) == "path-outside"


def test_a_pipe_among_the_files_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    assert refused(lambda: greys(opened(tmp_path, ["x.png"], [0]))) == "not-a-file"
    os.mkfifo(tmp_path / "b.parquet")
    assert refused(open_dataset, DatasetSpec(f"parquet:{tmp_path}/b.parquet"), NETWORK, 0) == "not-a-file"


def test_another_file_under_the_same_path_and_time_is_the_file_that_is_there(tmp_path: Path) -> None:
    for count in (4, 2):
        pq.write_table(pa.table({"image": [image(i) for i in range(count)], "label": list(range(count))}), tmp_path / "a.parquet")
        os.utime(tmp_path / "a.parquet", (315532800, 315532800))
        assert len(open_dataset(DatasetSpec(f"parquet:{tmp_path}/a.parquet"), NETWORK, 0).examples) == count


@pytest.mark.parametrize(
    ("labels", "values", "codes"),
    [
        ([0, 1, 2], [0, 1, 2], ["labels-without-names"]),
        ([0.0, 1.0, 2.0], [0, 1, 2], ["labels-without-names"]),
        ([True, False, True], [1, 0, 1], ["boolean-labels", "labels-without-names"]),
        ([1, 2, 3], [1, 2, 3], ["labels-from-one", "labels-without-names"]),
        (["2", "10", "1"], [1, 2, 0], []),
        (["b", "a", "b"], [1, 0, 1], []),
        ([[2], [0], [1]], [2, 0, 1], ["labels-without-names"]),
        ([[0, 0, 1], [1, 0, 0], [0, 1, 0]], [2, 0, 1], ["one-hot-labels", "labels-without-names"]),
        (["True", "False", "true"], [1, 0, 1], ["boolean-labels", "labels-without-names"]),
        (["2.0", "0.0", "1.0"], [2, 0, 1], ["labels-without-names"]),
        ([12, 1, 2], [11, 0, 1], ["labels-from-one", "labels-without-names"]),
    ],
)
def test_labels_of_every_kind(tmp_path: Path, labels: list, values: list[int], codes: list[str]) -> None:
    dataset = opened(tmp_path, [image(i) for i in range(3)], labels)
    assert dataset.examples.labels.tolist() == values
    assert [finding.code for finding in dataset.findings] == codes


@pytest.mark.parametrize("labels", [[{"a": 1}, {"a": 2}], [b"cat", b"dog"], [0.5, 1.0], [float("inf"), 0.0]])
def test_labels_that_are_none_are_refused(tmp_path: Path, labels: list) -> None:
    assert refused(opened, tmp_path, [image(0), image(1)], labels) == "bad-label"


@pytest.mark.parametrize("labels", [[[0], [1, 2]], [[0], []], [[1, 1, 0], [0, 0, 1]]])
def test_several_labels_for_an_image_are_refused_as_what_they_are(tmp_path: Path, labels: list) -> None:
    assert refused(opened, tmp_path, [image(0), image(1)], labels) == "multi-label"


@pytest.mark.parametrize("labels", [[0.0, float("nan")], [None, 1], [None, "cat"]])
def test_missing_labels_are_counted(tmp_path: Path, labels: list) -> None:
    assert refused(opened, tmp_path, [image(0), image(1)], labels) == "missing-label"


@pytest.mark.parametrize(("top", "white"), [(200, 255), (1000, 1023), (4000, 4095), (60000, 65535)])
def test_deep_images_share_one_white_whatever_each_holds(tmp_path: Path, top: int, white: int) -> None:
    dataset = opened(tmp_path, [image(top, np.uint16), image(top // 10, np.uint16)], [0, 1])
    assert greys(dataset) == [round(255 * top / white), round(255 * (top // 10) / white)]
    assert "deep-pixels" in [finding.code for finding in dataset.findings]


def test_floating_point_of_0_to_255_is_no_white_picture(tmp_path: Path) -> None:
    assert greys(opened(tmp_path, [image(0, np.float32, "TIFF"), image(100, np.float32, "TIFF")], [0, 1])) == [0, 100]
    assert refused(opened, tmp_path, [image(-3, np.float32, "TIFF"), image(100, np.float32, "TIFF")], [0, 1]) == "pixel-range"


def test_white_is_part_of_what_identifies_the_data(tmp_path: Path) -> None:
    examples = opened(tmp_path, [image(100, np.uint16), image(1, np.uint16)], [0, 1]).examples
    assert dataclasses.replace(examples, white=4095.0).digest != examples.digest
    assert dataclasses.replace(examples, white=4095.0).fingerprint != examples.fingerprint
