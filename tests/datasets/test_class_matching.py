import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from timm.data import ImageNetInfo

from efficient360.datasets.card import read_card
from efficient360.datasets.class_matching import ClassMatch, known_part, match_classes, match_examples, unseen_classes, unseen_part, with_classes
from efficient360.datasets.loader import open_dataset, open_split, open_whole
from efficient360.datasets.others import other_set, unseen_set
from efficient360.datasets.references import card_of
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError
from efficient360.execution import runner
from efficient360.execution.events import Event, Finished, Opened
from efficient360.execution.plan import Plan, Step
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.references import resolve

BASE = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", Preprocessing((3, 8, 8), (0.5,) * 3, (0.5,) * 3), 3, ("cat", "dog", "owl"))


DIGITS_CARD = read_card("digits")


def match(names: Sequence[str], outputs: Sequence[str] = BASE.class_names, classes: int | None = None, **options: Any) -> ClassMatch:
    checkpoint = dataclasses.replace(BASE, class_names=tuple(outputs), num_classes=classes or len(outputs))
    return match_classes(names, checkpoint, DIGITS_CARD, **options)


def codes(found: ClassMatch) -> list[str]:
    return [finding.code for finding in found.findings]


def refused(*arguments: Any, **options: Any) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        match(*arguments, **options)
    assert caught.value.hint
    return caught.value


def test_equal_names_need_no_word() -> None:
    assert match(["cat", "dog", "owl"]) == ClassMatch(None, ("cat", "dog", "owl"))


def test_names_are_matched_whatever_their_order() -> None:
    assert match(["owl", "cat", "dog"]) == ClassMatch((2, 0, 1), ("owl", "cat", "dog"))


def test_fewer_classes_compete_with_all_outputs_and_it_is_told() -> None:
    found = match(["owl", "cat"])
    assert (found.outputs, found.class_names) == ((2, 0, 1), ("owl", "cat", "dog"))
    assert codes(found) == ["fewer-classes"]


@pytest.mark.parametrize("names", [["Owl", "CAT", "dog"], ["the-owl", "a cat", "big_dog"], ["\uff4fwl", "cat", "dog"]], ids=["case", "spacing", "width"])
def test_spelling_does_not_matter_and_is_told(names: list[str]) -> None:
    outputs = ("a_cat", "Big Dog", "The Owl") if "a cat" in names else BASE.class_names
    found = match(names, outputs)
    assert found.outputs == (2, 0, 1)
    assert codes(found) == ["classes-matched-loosely"]


@given(st.permutations(range(6)), st.lists(st.sampled_from([str.upper, str.title, str.lower]), min_size=6, max_size=6))
def test_matching_by_name_follows_the_names(order: list[int], spellings: list[Callable[[str], str]]) -> None:
    outputs = ["red fox", "sea-lion", "cat", "polar_bear", "newt", "owl"]
    names = [change(outputs[i]) for i, change in zip(order, spellings, strict=True)]
    found = match(names, outputs)
    assert list(found.outputs or range(6)) == order


@pytest.mark.parametrize("names", [["plane", "dog", "owl"], ["chat", "chien", "hibou"], ["cat", "newt"], ["cat", "Cat", "dog"]])
def test_names_that_do_not_match_are_an_error_never_positions(names: list[str]) -> None:
    error = refused(names)
    assert error.code == "class-names-differ"
    assert "only in the data:" in error.message
    assert "only in the checkpoint:" in error.message
    assert "--class-map" in error.hint


def test_positions_can_be_taken_knowingly() -> None:
    names = ["chat", "chien", "hibou"]
    for order, shown in (("data", tuple(names)), ("checkpoint", BASE.class_names)):
        found = match(names, order=order)
        assert (found.outputs, found.class_names) == (None, shown)
        assert codes(found) == ["classes-by-position"]
    assert refused(["chat"], order="data").code == "class-count-mismatch"


def test_a_class_map_decides_by_name_or_index() -> None:
    found = match(["hibou", "chat", "chien"], class_map={"hibou": "owl", "chat": 0, "chien": "dog"})
    assert found.outputs == (2, 0, 1)
    assert codes(found) == ["classes-mapped"]


def test_a_class_map_need_not_name_what_both_sides_call_alike() -> None:
    assert match(["owl", "chat", "dog"], class_map={"chat": "cat"}).outputs == (2, 0, 1)


@pytest.mark.parametrize(
    ("class_map", "code"),
    [
        ({"chat": "cat"}, "bad-class-map"),
        ({"chat": "cat", "chien": "wolf"}, "bad-class-map"),
        ({"chat": 0, "chien": 3}, "bad-class-map"),
        ({"chat": 0, "chien": 0}, "class-twice"),
    ],
)
def test_a_class_map_that_does_not_fit_is_refused(class_map: dict, code: str) -> None:
    assert refused(["chat", "chien"], class_map=class_map).code == code


TWELVE = [str(i) for i in range(12)]


@pytest.mark.parametrize("outputs", [(), tuple(f"LABEL_{i}" for i in range(12)), tuple("abcdefghijkl")])
def test_classes_called_by_numbers_are_these_outputs(outputs: tuple[str, ...]) -> None:
    found = match(TWELVE, outputs, 12)
    assert found.outputs is None
    assert "numeric-order" in codes(found)
    assert ("classes-by-number" in codes(found)) == (outputs == tuple("abcdefghijkl"))
    assert found.alternatives == {"sorted as text": tuple(sorted(TWELVE).index(name) for name in TWELVE)}
    assert match(["3", "7"], outputs, 12).outputs == (3, 7, *[i for i in range(12) if i not in (3, 7)])


def test_numbers_that_begin_at_one_are_told() -> None:
    whole = match([str(i) for i in range(1, 10)], (), 9)
    assert whole.outputs is None
    assert codes(whole) == ["labels-from-one"]
    part = match([str(i) for i in range(1, 10)], (), 10)
    assert part.outputs == (*range(1, 10), 0)
    assert part.alternatives == {"numbered from 1": tuple(range(9))}
    assert refused(["0", "12"], (), 12).code == "class-count-mismatch"


def test_a_nameless_checkpoint_takes_the_datas_order_and_says_so() -> None:
    assert codes(match(["a", "b", "c"], (), 3)) == ["classes-by-position"]
    assert refused(["a", "b"], (), 3).code == "class-count-mismatch"


def test_imagenet_is_matched_by_synset_and_by_name() -> None:
    synsets = ImageNetInfo("imagenet-1k").label_names()
    found = match([synsets[5], synsets[2]], (), 1000)
    assert found.outputs is not None
    assert found.outputs[:2] == (5, 2)
    assert codes(found) == ["imagenet-order", "fewer-classes"]
    words = match(["goldfish", "golden retriever"], (), 1000)
    assert words.outputs is not None
    assert words.outputs[:2] == (1, 207)
    named = match([synsets[1], synsets[207]], ("Golden_Retriever", "goldfish"))
    assert named.outputs == (1, 0)
    assert codes(named) == ["classes-matched-loosely"]


def test_imagenet_subset_is_matched_by_its_card_and_the_restriction_told() -> None:
    imagenet = dataclasses.replace(BASE, num_classes=1000, class_names=())
    found = match_classes([str(i) for i in range(10)], imagenet, read_card("imagenette"))
    assert found.outputs == (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)
    assert codes(found) == ["outputs-restricted"]


ARGUMENTS = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 2, "num_classes": 7}
KNOWN = ("9", "0", "1", "2", "4", "5", "7")
UNSEEN = ("3", "6", "8")


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint of seven digits, in an order of its own."""
    folder = tmp_path_factory.mktemp("seven")
    save_file(timm.create_model("vit_tiny_patch16_224", **ARGUMENTS).state_dict(), folder / "seven.safetensors")
    (folder / "seven.json").write_text(json.dumps({"architecture": "vit_tiny_patch16_224", "model_args": ARGUMENTS, "class_names": KNOWN}))
    return resolve(CheckpointSpec(str(folder / "seven.safetensors")))


DIGITS = DatasetSpec("digits")


def test_known_and_unseen_are_a_partition_with_the_same_names(part: Checkpoint) -> None:
    whole = open_whole(card_of(DIGITS), "test", None, part, 0)
    known, unseen = known_part(whole, part), unseen_part(whole, part)
    assert sorted([*known.ids, *unseen.ids]) == sorted(whole.ids)
    name = {i: whole.class_names[label] for i, label in zip(whole.ids, whole.labels, strict=True)}
    for found, names in ((known, sorted(KNOWN)), (unseen, UNSEEN)):
        assert list(found.class_names) == list(names)
        assert [found.class_names[label] for label in found.labels] == [name[i] for i in found.ids]
    assert unseen_classes(whole, part) == (3, 6, 8)


@pytest.mark.parametrize("names", [(), tuple("abcdefg"), (*KNOWN[:6], "x"), (*KNOWN[:6], "9")])
def test_where_names_do_not_tell_it_is_taken_to_know_them_all(part: Checkpoint, names: tuple[str, ...]) -> None:
    whole = open_whole(card_of(DIGITS), "test", None, part, 0)
    assert unseen_classes(whole, dataclasses.replace(part, class_names=names)) == ()


def test_both_splits_hold_known_classes_only(part: Checkpoint) -> None:
    dataset = open_dataset(DIGITS, part, 0)
    assert dataset.unseen == UNSEEN
    assert set(open_split(dataset.card, "train", None, part, 0).class_names) == set(KNOWN)
    other = unseen_set(dataset, None, part, 0)
    assert tuple(other.test().class_names) == tuple(other.training().class_names) == UNSEEN
    assert set(other.test().ids).isdisjoint(dataset.examples.ids)
    assert np.unique(other.training().labels).tolist() == [0, 1, 2]


def test_a_run_names_the_classes_left_out_and_matches_the_rest_by_name(part: Checkpoint, tmp_path: Path) -> None:
    events: list[Event] = []
    runner.run(Plan(part.spec, DatasetSpec("digits", max_examples=70), "test", (Step("accuracy", {}),), tmp_path / "run"), events.append)
    (opened,) = [e for e in events if isinstance(e, Opened)]
    assert opened.header["dataset"]["unseen"] == list(UNSEEN)
    assert opened.header["dataset"]["classes"] == 7
    (done,) = [e for e in events if isinstance(e, Finished)]
    assert done.records[0].outcome.metric.name == "top1"


def test_another_set_has_labels_of_its_own(part: Checkpoint, tmp_path: Path) -> None:
    ten = dataclasses.replace(part, class_names=tuple("abcdefghij"), num_classes=10)
    other = other_set("digits", ten, 0)
    assert (other.name, other.title) == ("digits", card_of(DIGITS).title)
    assert list(other.test().class_names) == [str(i) for i in range(10)]
    assert len(other.training()) == 900
    assert other.identity == other_set("digits", part, 1).identity


def test_files_that_a_setting_names_enter_the_identity(part: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.png").write_bytes(b"one")
    before = other_set(f"imagefolder:{tmp_path}", part, 0).identity
    assert other_set(f"imagefolder:{tmp_path}", part, 0).identity == before
    (tmp_path / "cat" / "a.png").write_bytes(b"another")
    assert other_set(f"imagefolder:{tmp_path}", part, 0).identity != before
    (tmp_path / "a.parquet").write_bytes(b"one")
    first = other_set(f"parquet:{tmp_path}/*.parquet", part, 0).identity
    (tmp_path / "a.parquet").write_bytes(b"another")
    assert other_set(f"parquet:{tmp_path}/*.parquet", part, 0).identity != first


def test_a_local_copy_enters_the_identity_and_what_is_not_there_is_told(part: Checkpoint, tmp_path: Path) -> None:
    there = other_set(f"cifar100={tmp_path}", part, 0)
    assert there.name == "cifar100"
    (tmp_path / "note.txt").write_text("changed")
    assert other_set(f"cifar100={tmp_path}", part, 0).identity != there.identity
    with pytest.raises(DatasetError, match=r"holds neither test-\*\.parquet nor a folder"):
        there.test()
    with pytest.raises(DatasetError, match="there is no data set called 'cifar1000'"):
        other_set("cifar1000", part, 0)


def test_a_class_without_examples_that_the_checkpoint_does_not_know_is_left_out(part: Checkpoint) -> None:
    whole = open_whole(card_of(DIGITS), "test", None, part, 0)
    shown = dataclasses.replace(whole, class_names=[*"abcdefghi", "nothing"]).select(
        [n for n, label in zip(whole.ids, whole.labels, strict=True) if label != 9]
    )
    nine = dataclasses.replace(part, class_names=tuple("abcdefghi"), num_classes=9)
    examples, found = match_examples(shown, nine, card_of(DIGITS))
    assert list(examples.class_names) == list("abcdefghi")
    assert found.outputs is None


def test_another_split_is_labelled_by_the_same_names(part: Checkpoint) -> None:
    whole = open_whole(card_of(DIGITS), "train", None, part, 0)
    names = ["7", "1", "x"]
    other = with_classes(whole, names, ["7", "1", "x", "y"])
    assert other is not None
    assert {whole.class_names[dict(zip(whole.ids, whole.labels, strict=True))[i]] for i in other.ids} == {"7", "1"}
    assert [names[label] for label in other.labels] == [whole.class_names[dict(zip(whole.ids, whole.labels, strict=True))[i]] for i in other.ids]
    assert list(other.class_names) == ["7", "1", "x", "y"]
    assert with_classes(whole, ["a"], ["a"]) is None
