import io
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import datasets
from datasets import ClassLabel, Dataset, Features, Image, Value
from efficient360.datasets.card import Card, Shift, Source, parse_card, read_card
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.shifts import open_shift, shifted_sets
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing

CONFIG = Preprocessing((3, 16, 16), (0.5,) * 3, (0.5,) * 3)
FOUR = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", CONFIG, 4)
NAMES = ("ant", "bee", "cat", "dog")
NUMBER, TEXT = Value("int64"), Value("string")


def png(value: int) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(np.full((16, 16, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def parquet(path: Path, labels: Sequence[object], feature: object = NUMBER, **columns: Sequence[object]) -> Source:
    """Images filled with 0, 10, 20 … and these labels."""
    kinds = {name: TEXT if isinstance(values[0], str) else NUMBER for name, values in columns.items()}
    cells = [{"bytes": png(10 * i), "path": None} for i in range(len(labels))]
    features = Features({"image": Image(decode=False), "label": feature, **kinds})
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict({"image": cells, "label": list(labels), **columns}, features=features).to_parquet(path)
    return Source("parquet", str(path))


def card(*shifts: Shift, classes: int = 4) -> Card:
    return Card("animals", "Animals", Source("parquet", "none.parquet"), {"test": "test"}, classes=classes, shifts=shifts)


def opened(shift: Shift, names: Sequence[str] = NAMES):
    return open_shift(card(shift), shift, names, FOUR, 0)


def refused(shift: Shift, names: Sequence[str] = NAMES) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        opened(shift, names)
    return caught.value


def test_labels_ids_and_pixels(tmp_path: Path) -> None:
    found = opened(Shift("fog", "Fog", parquet(tmp_path / "a.parquet", [3, 0, 0, 2])))
    assert found.labels.tolist() == [3, 0, 0, 2]
    assert list(found.ids) == ["fog/0", "fog/1", "fog/2", "fog/3"]
    assert list(found.class_names) == list(NAMES)
    (batch,) = found.batches(10)
    assert np.allclose(batch.images.mean((1, 2, 3)).numpy() * 255, [0, 10, 20, 30], atol=1e-4)


def test_a_column_of_ids_is_kept(tmp_path: Path) -> None:
    source = parquet(tmp_path / "a.parquet", [3, 0], id=["test/7", "test/2"])
    assert list(opened(Shift("fog", "Fog", source)).ids) == ["test/7", "test/2"]


def test_paths_are_ids_in_an_image_folder(tmp_path: Path) -> None:
    for name in ("bee", "ant"):
        (tmp_path / "test" / name).mkdir(parents=True)
        (tmp_path / "test" / name / "0.png").write_bytes(png(3))
    found = opened(Shift("fog", "Fog", Source("imagefolder", str(tmp_path))))
    assert list(found.ids) == ["test/ant/0.png", "test/bee/0.png"]
    assert found.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("labels", "feature", "entry", "expected"),
    [
        (["dog", "ant", "dog"], TEXT, {}, [3, 0, 3]),
        (["d", "a", "d"], TEXT, {"labels": ("a", "b", "c", "d")}, [3, 0, 3]),
        (["wolf", "fly"], TEXT, {"labels": ("fly", "wolf"), "classes": (1, 3)}, [3, 1]),
        ([1, 0], NUMBER, {"classes": (1, 3)}, [3, 1]),
        ([1, 0, 2], NUMBER, {"classes": (3, 1, 3)}, [1, 3, 3]),
        ([0, 1], ClassLabel(names=["dog", "bee"]), {}, [3, 1]),
        ([0, 1], ClassLabel(names=["wolf", "fly"]), {"labels": ("fly", "wolf"), "classes": (1, 3)}, [3, 1]),
        ([0, 1], ClassLabel(names=["wolf", "fly"]), {"classes": (1, 3)}, [1, 3]),
        ([2, 1], ClassLabel(names=["w", "x", "y", "z"]), {}, [2, 1]),
    ],
)
def test_its_labels_become_the_classes_of_the_data_set(tmp_path: Path, labels: list, feature: object, entry: dict, expected: list[int]) -> None:
    found = opened(Shift("fog", "Fog", parquet(tmp_path / "a.parquet", labels, feature), **entry))
    assert found.labels.tolist() == expected
    assert found.labels.dtype == np.int64


def test_names_that_two_classes_share_match_nothing(tmp_path: Path) -> None:
    twins = ("ant", "crane", "crane", "dog")
    words = Shift("fog", "Fog", parquet(tmp_path / "a.parquet", ["dog", "ant"], TEXT))
    assert "two classes of the data set share a name" in refused(words, twins).message
    numbers = Shift("fog", "Fog", parquet(tmp_path / "b.parquet", [2, 1], ClassLabel(names=["ant", "crane", "crane bird", "dog"])))
    assert opened(numbers, twins).labels.tolist() == [2, 1]


def test_rows_of_one_value_of_a_column(tmp_path: Path) -> None:
    source = parquet(tmp_path / "a.parquet", [0, 1, 2, 3], kind=["fog", "snow", "fog", "fog"], level=[1, 1, 2, 1])
    found = opened(Shift("fog", "Fog", source, where={"kind": "fog", "level": 1}))
    assert found.labels.tolist() == [0, 3]
    assert np.allclose(next(found.batches(2)).images.mean((1, 2, 3)).numpy() * 255, [0, 30], atol=1e-4)
    assert list(found.ids) == ["fog/0", "fog/3"]
    none = refused(Shift("fog", "Fog", source, where={"kind": "rain"}))
    assert (none.code, none.message) == ("empty-split", "Fog has no example with kind rain")


@pytest.mark.parametrize(
    ("labels", "feature", "entry", "code", "words"),
    [
        ([0, 4], NUMBER, {}, "label-out-of-range", "1 labels of Fog are outside 0 … 3, the first is 4"),
        ([0, -1], ClassLabel(names=["ant", "bee"]), {}, "label-out-of-range", "the first is -1"),
        ([0, 2], NUMBER, {"classes": (1, 3)}, "label-out-of-range", "outside 0 … 1"),
        (["dog", "wolf"], TEXT, {}, "unknown-label", "a label 'wolf' that its card does not match"),
        (["dog", "ant"], TEXT, {"classes": (0, 3)}, "unknown-label", "a label 'dog'"),
        ([None, 1], NUMBER, {}, "missing-label", "1 examples of Fog have no label"),
        ([0.5, 1.0], Value("float64"), {}, "bad-label", "'label' of Fog holds float64"),
        ([0, 1], NUMBER, {"classes": (1, 4)}, "bad-card", "Fog names a class 4; animals has 0 … 3"),
        ([0, 1], NUMBER, {"classes": (1, 2), "labels": ("a",)}, "bad-card", "1 different labels for 2 classes"),
        ([0, 1], NUMBER, {"classes": (1, 2), "labels": ("a", "a")}, "bad-card", "1 different labels for 2 classes"),
        ([0, 1], NUMBER, {"image": "picture"}, "no-column", "Fog has no column 'picture'"),
        ([0, 1], NUMBER, {"where": {"level": 1}}, "no-column", "Fog has no column 'level'"),
    ],
)
def test_what_can_t_be_matched_is_refused(tmp_path: Path, labels: list, feature: object, entry: dict, code: str, words: str) -> None:
    error = refused(Shift("fog", "Fog", parquet(tmp_path / "a.parquet", labels, feature), **entry))
    assert error.code == code
    assert words in error.message
    assert error.hint


def test_classes_by_number_want_all_the_classes_of_the_card(tmp_path: Path) -> None:
    error = refused(Shift("fog", "Fog", parquet(tmp_path / "a.parquet", [0, 1]), classes=(0, 2)), NAMES[:3])
    assert error.code == "class-count-mismatch"
    assert "has 3 classes, animals has 4" in error.message


def test_nothing_is_opened_before_it_is_wanted(tmp_path: Path) -> None:
    shift = Shift("fog", "Fog", Source("parquet", str(tmp_path / "none.parquet")), classes=(3, 1, 3))
    (found,) = shifted_sets(card(shift), NAMES, None, FOUR, 0)
    assert (found.name, found.title, found.classes) == ("fog", "Fog", (1, 3))
    with pytest.raises(DatasetError, match="no file matches"):
        found.open()


def test_parquet_files_of_the_local_copy_go_before_the_source(tmp_path: Path) -> None:
    parquet(tmp_path / "fog" / "data" / "train-00000-of-00001.parquet", [2, 2])
    shift = Shift("fog", "Fog", Source("hub", "nobody/nothing"))
    (found,) = shifted_sets(card(shift), NAMES, tmp_path, FOUR, 0)
    assert found.open().labels.tolist() == [2, 2]


def folders(root: Path, *names: str) -> None:
    for i, name in enumerate(names):
        (root / name).mkdir(parents=True)
        (root / name / f"{i}.png").write_bytes(png(i))


def test_class_folders_of_the_local_copy_go_before_the_source(tmp_path: Path) -> None:
    folders(tmp_path / "fog", "wolf", "fly")
    shift = Shift("fog", "Fog", Source("hub", "nobody/nothing"), image="jpg", label="wnid", classes=(1, 3), labels=("fly", "wolf"))
    (found,) = shifted_sets(card(shift), NAMES, tmp_path, FOUR, 0)
    assert dict(zip(found.open().ids, found.open().labels.tolist(), strict=True)) == {"fly/1.png": 1, "wolf/0.png": 3}


def test_folders_named_by_numbers_are_these_classes_whatever_their_order(tmp_path: Path) -> None:
    """As the authors of ImageNet-V2 pack it: 0, 1, 10, 11, 2 …"""
    folders(tmp_path, *[str(i) for i in range(12)])
    found = opened(Shift("fog", "Fog", Source("imagefolder", str(tmp_path))), [f"class {i}" for i in range(12)])
    assert {name.partition("/")[0] for name in found.ids} == {str(i) for i in range(12)}
    assert [int(name.partition("/")[0]) for name in found.ids] == found.labels.tolist()


def test_more_or_fewer_named_classes_than_the_card_matches_are_no_guess(tmp_path: Path) -> None:
    folders(tmp_path, "fly", "wolf")
    error = refused(Shift("fog", "Fog", Source("imagefolder", str(tmp_path))))
    assert error.code == "unknown-label"
    assert "Fog names 2 classes that its card does not match to the 4 expected" in error.message


def test_a_hub_out_of_reach_tells_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**_: Any) -> None:
        raise ConnectionError("Couldn't reach 'nobody/nothing' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    error = refused(Shift("fog", "Fog", Source("hub", "nobody/nothing")))
    assert error.code == "hub-unreachable"
    assert "load_dataset('nobody/nothing')" in error.hint
    assert "HF_HOME" in error.hint
    assert "a folder fog of --data-dir" in error.hint


def test_its_identity_follows_the_card_and_the_file(tmp_path: Path) -> None:
    def identity(**entry: Any) -> str:
        (found,) = shifted_sets(card(Shift("fog", "Fog", Source("parquet", str(path)), **entry)), NAMES, None, FOUR, 0)
        return found.identity

    path = tmp_path / "a.parquet"
    missing = identity()
    parquet(path, [0, 1])
    first = identity()
    assert missing != first == identity()
    assert identity(classes=(1, 0)) != first
    parquet(path, [0, 1, 1])
    second = identity()
    assert second != first
    os.utime(path, ns=(0, 0))
    assert identity() != second


@pytest.mark.parametrize("name", ["test", "fog"])
def test_a_name_taken_twice_is_refused(name: str) -> None:
    shifts = [Shift(one, "Fog", Source("hub", "a/b")) for one in ("fog", name)]
    with pytest.raises(DatasetError, match=f"'{name}' twice") as caught:
        shifted_sets(card(*shifts), NAMES, None, FOUR, 0)
    assert caught.value.code == "bad-card"


CARD = """
name: animals
title: Animals
source: {{kind: parquet, location: {clean}}}
splits: {{test: test}}
shifts:
  - name: {name}
    title: Fog
    source: {{kind: parquet, location: {fog}}}
"""


def test_a_card_of_ones_own_names_shifts(tmp_path: Path) -> None:
    clean, fog = (parquet(tmp_path / f"{name}.parquet", [0, 1, 2, 3], ClassLabel(names=list(NAMES))).location for name in ("clean", "fog"))
    path = tmp_path / "animals.yaml"
    path.write_text(CARD.format(clean=clean, fog=fog, name="fog.1"))
    found = open_dataset(DatasetSpec(str(path), max_examples=2), FOUR, 0)
    assert len(found.examples) == 2
    assert [shift.name for shift in found.shifts] == ["fog.1"]
    assert found.shifts[0].open().labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["Fog", "a fog", "../fog", "''"])
def test_a_name_that_is_no_plain_word_is_refused(name: str) -> None:
    with pytest.raises(DatasetError, match=r"shifts\[0\]\.name is"):
        parse_card(CARD.format(clean="a", fog="b", name=name), "mine")


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"unknown key 'shifts\[0\]\.wear'"):
        parse_card(CARD.format(clean="a", fog="b", name="fog") + "    wear: {level: 1}\n", "mine")


@pytest.mark.parametrize("letter", ["a", "r"])
def test_the_200_classes_of_imagenet_a_and_r_are_those_of_timms_lists(letter: str) -> None:
    info = resources.files("timm.data").joinpath("_info")
    read = lambda name: info.joinpath(name).read_text(encoding="utf-8").split()  # noqa: E731
    (shift,) = [one for one in read_card("imagenet-1k").shifts if one.name == f"imagenet-{letter}"]
    assert list(shift.classes) == [int(index) for index in read(f"imagenet_{letter}_indices.txt")]
    assert list(shift.labels) == read(f"imagenet_{letter}_synsets.txt")
    everything = read("imagenet_synsets.txt")
    assert [everything[index] for index in shift.classes] == list(shift.labels)
    assert len(set(shift.classes)) == 200


def test_built_in_cards_name_shifts_with_a_licence_and_a_citation() -> None:
    for name in ("cifar10", "imagenet-1k"):
        found = read_card(name)
        assert found.shifts
        for shift in found.shifts:
            assert shift.source.kind == "hub"
            assert shift.license
            assert shift.citation
            assert shift.notes
