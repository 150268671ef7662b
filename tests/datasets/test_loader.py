import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from datasets import ClassLabel, Dataset, Features, Image, Value
from efficient360.datasets.card import card_names, parse_card, read_card
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing

CONFIG = Preprocessing((3, 16, 16), (0.5,) * 3, (0.5,) * 3)
TEN = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", CONFIG, 10)


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(np.full((16, 16, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def parquet(path: Path, labels: list, feature: object = None, **columns: list) -> DatasetSpec:
    features = Features({"image": Image(decode=False), "label": feature or ClassLabel(names=["cat", "dog"]), **{c: Value("string") for c in columns}})
    cells = [{"bytes": png(10 * i), "path": None} for i in range(len(labels))]
    Dataset.from_dict({"image": cells, "label": labels, **columns}, features=features).to_parquet(path)
    return DatasetSpec(f"parquet:{path}", group_columns=tuple(columns))


def opened(spec: DatasetSpec, checkpoint: Checkpoint = TEN):
    return open_dataset(spec, checkpoint, seed=0)


def test_every_card_is_valid() -> None:
    names = card_names()
    assert {"digits", "cifar10", "cifar100", "imagenet-1k", "imagenette", "food101", "flowers102", "pets37", "fairface", "celeba"} <= set(names)
    for name in names:
        card = read_card(name)
        assert card.name == name
        assert card.evaluate in card.splits
        assert card.license
        assert card.citation
        assert not card.imagenet_classes or len(card.imagenet_classes) == card.classes


def test_parquet_ids_labels_groups_and_pixels(tmp_path: Path) -> None:
    data = opened(parquet(tmp_path / "a.parquet", [0, 1, 1, 0], place=["here", "there", "here", "here"]))
    examples = data.examples
    assert list(examples.ids) == ["test/0", "test/1", "test/2", "test/3"]
    assert examples.labels.tolist() == [0, 1, 1, 0]
    assert list(examples.class_names) == ["cat", "dog"]
    assert examples.groups == {"place": ["here", "there", "here", "here"]}
    (batch,) = examples.batches(10)
    assert batch.images.shape == (4, 3, 16, 16)
    assert np.allclose(batch.images.mean((1, 2, 3)).numpy() * 255, [0, 10, 20, 30], atol=1e-4)
    assert batch.groups == {"place": ("here", "there", "here", "here")}


def test_batches_are_cut_the_same_from_any_start(tmp_path: Path) -> None:
    examples = opened(parquet(tmp_path / "a.parquet", [0, 1] * 5)).examples
    assert [b.ids for b in examples.batches(3)][1:] == [b.ids for b in examples.batches(3, 3)]
    assert [len(b) for b in examples.batches(4)] == [4, 4, 2]


def test_digest_follows_content_not_path(tmp_path: Path) -> None:
    first = opened(parquet(tmp_path / "a.parquet", [0, 1, 0])).examples
    same = opened(parquet(tmp_path / "b.parquet", [0, 1, 0])).examples
    other = opened(parquet(tmp_path / "c.parquet", [0, 1, 1])).examples
    assert first.digest == same.digest != other.digest
    assert first.subset(2, 0).digest != first.digest


def test_select_gives_the_order_asked_for(tmp_path: Path) -> None:
    examples = opened(parquet(tmp_path / "a.parquet", [0, 1, 0])).examples.select(["test/2", "test/0"])
    assert list(examples.ids) == ["test/2", "test/0"]
    assert np.allclose(next(examples.batches(2)).images.mean((1, 2, 3)).numpy() * 255, [20, 0], atol=1e-4)


def test_string_labels_become_sorted_classes(tmp_path: Path) -> None:
    data = opened(parquet(tmp_path / "a.parquet", ["zebra", "ape", "zebra"], Value("string")))
    assert list(data.examples.class_names) == ["ape", "zebra"]
    assert data.examples.labels.tolist() == [1, 0, 1]


def test_a_split_that_lacks_a_class_keeps_the_checkpoints_classes(tmp_path: Path) -> None:
    named = dataclasses.replace(TEN, num_classes=3, class_names=("zebra", "ape", "newt"))
    words = opened(parquet(tmp_path / "a.parquet", ["zebra", "ape", "zebra"], Value("string")), named).examples
    numbers = opened(parquet(tmp_path / "b.parquet", [0, 1, 0], Value("int64")), named).examples
    for examples in (words, numbers):
        assert list(examples.class_names) == ["zebra", "ape", "newt"]
        assert examples.labels.tolist() == [0, 1, 0]
    assert len(opened(parquet(tmp_path / "c.parquet", [0, 4], Value("int64"))).examples.class_names) == 10


def test_image_folder(tmp_path: Path) -> None:
    for i, name in enumerate(["b", "a", "a"]):
        (tmp_path / "test" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "test" / name / f"{i}.png").write_bytes(png(i))
    data = opened(DatasetSpec(f"imagefolder:{tmp_path}"))
    assert list(data.examples.ids) == ["test/a/1.png", "test/a/2.png", "test/b/0.png"]
    assert data.examples.labels.tolist() == [0, 0, 1]
    assert data.split == "test"
    assert next(data.examples.batches(3)).images.shape == (3, 3, 16, 16)


def test_local_copy_of_a_card(tmp_path: Path) -> None:
    features = Features({"img": Image(decode=False), "label": ClassLabel(names=[str(i) for i in range(10)])})
    rows = {"img": [{"bytes": png(i), "path": None} for i in range(3)], "label": [0, 5, 9]}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "test-00000-of-00001.parquet")
    data = opened(DatasetSpec("cifar10", data_dir=tmp_path))
    assert data.examples.labels.tolist() == [0, 5, 9]
    with pytest.raises(DatasetError, match=r"holds neither train-\*\.parquet nor a folder train/"):
        opened(DatasetSpec("cifar10", data_dir=tmp_path, split="train"))


def test_corrupt_image_is_named_when_it_is_looked_at(tmp_path: Path) -> None:
    features = Features({"image": Image(decode=False), "label": Value("int64")})
    Dataset.from_dict({"image": [{"bytes": b"broken", "path": None}], "label": [0]}, features=features).to_parquet(tmp_path / "a.parquet")
    examples = opened(DatasetSpec(f"parquet:{tmp_path}/a.parquet")).examples
    with pytest.raises(DatasetError, match="example test/0 can't be read: it is no image"):
        _ = next(examples.batches(1)).images


@pytest.mark.parametrize(
    ("labels", "feature", "code", "words"),
    [
        ([0, -1], Value("int64"), "label-out-of-range", "1 labels of parquet are outside 0 … 9, the first is -1 in row 1"),
        ([0, 10], Value("int64"), "label-out-of-range", "1 labels of parquet are outside 0 … 9, the first is 10 in row 1"),
        ([0, None], Value("int64"), "missing-label", "1 examples of parquet have no label"),
        ([0.5, 1.0], Value("float64"), "bad-label", "the label column 'label' of parquet holds float64"),
        ([], Value("int64"), "empty-split", "the Parquet files of parquet hold no example"),
    ],
)
def test_bad_labels_are_refused(tmp_path: Path, labels: list, feature: object, code: str, words: str) -> None:
    with pytest.raises(DatasetError) as caught:
        opened(parquet(tmp_path / "a.parquet", labels, feature))
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        (DatasetSpec("cifar11"), "unknown-dataset", "there is no data set called 'cifar11'"),
        (DatasetSpec("nowhere/card.yaml"), "no-card", "there is no data set card at nowhere/card.yaml"),
        (DatasetSpec("parquet:nowhere/*.parquet"), "no-files", "no file matches nowhere/*.parquet"),
        (DatasetSpec("imagefolder:nowhere"), "no-folder", "nowhere is no folder"),
        (DatasetSpec("digits", split="validation"), "unknown-split", "digits has no split called 'validation'"),
        (DatasetSpec("digits", image_column="picture"), "no-column", "digits has no column 'picture'"),
        (DatasetSpec("digits", group_columns=("writer",)), "no-column", "digits has no column 'writer'"),
        (DatasetSpec("cifar10", data_dir=Path("nowhere")), "no-data-dir", "nowhere is no folder"),
    ],
)
def test_what_cannot_be_had_is_named(spec: DatasetSpec, code: str, words: str) -> None:
    with pytest.raises(DatasetError) as caught:
        opened(spec)
    assert (caught.value.code, caught.value.message) == (code, words)
    assert caught.value.hint


def test_folder_without_classes_and_file_that_is_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no sub-folders"):
        opened(DatasetSpec(f"imagefolder:{tmp_path}"))
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DatasetError) as caught:
        opened(DatasetSpec(f"parquet:{tmp_path}/a.parquet"))
    assert caught.value.code == "unreadable-dataset"


def test_hub_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(**_: Any) -> None:
        raise ConnectionError("Couldn't reach 'uoft-cs/cifar10' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(DatasetError, match="cifar10 on the hub can't be reached") as caught:
        opened(DatasetSpec("cifar10"))
    assert caught.value.code == "hub-unreachable"
    assert "--data-dir" in caught.value.hint


def test_a_hub_that_does_not_answer_is_asked_once_and_one_that_refuses_is_left_to_the_loader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import httpx2
    import huggingface_hub as hub
    from huggingface_hub import errors

    import datasets

    asked: list[str] = []
    answers: list[Exception] = [httpx2.ConnectError("Name or service not known")]

    def ask(url: str) -> None:
        asked.append(url)
        raise answers[0]

    def load(**arguments: Any) -> None:
        asked.append(str(arguments["path"]))
        raise FileNotFoundError("Cannot find the requested files in the cached path")

    monkeypatch.setattr(hub, "get_hf_file_metadata", ask)
    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    with pytest.raises(DatasetError, match="^cifar10 on the hub can't be reached: Name or service not known$"):
        opened(DatasetSpec("cifar10"))
    assert len(asked) == 1
    answers[0] = errors.RemoteEntryNotFoundError("404", response=httpx2.Response(404, request=httpx2.Request("HEAD", asked[0])))
    with pytest.raises(DatasetError, match="requested files"):
        opened(DatasetSpec("cifar10"))
    assert asked[2:] == ["uoft-cs/cifar10"]
    (tmp_path / "hub" / "datasets--uoft-cs--cifar10" / "snapshots").mkdir(parents=True)
    with pytest.raises(DatasetError, match="requested files"):
        opened(DatasetSpec("cifar10"))
    assert asked[3:] == ["uoft-cs/cifar10"], "what is cached is not asked for"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "is not YAML"),
        ("name: a\ntitle: A\nsource: {kind: hub, location: x}\nsplits: {test: test}\ncolour: red", "has an unknown key 'colour'"),
        ("name: a\ntitle: A\nsource: {kind: ftp, location: x}\nsplits: {test: test}", "source.kind is 'ftp', where 'hub'"),
        ("name: a", "has no title"),
    ],
)
def test_bad_cards_are_explained(text: str, words: str) -> None:
    with pytest.raises(DatasetError, match=words) as caught:
        parse_card(text, "mine.yaml")
    assert caught.value.code == "bad-card"
