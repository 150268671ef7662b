import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import timm
from safetensors.torch import save_file

from efficient360.datasets.card import read_card
from efficient360.datasets.class_matching import kept_outputs, known_part, unseen_classes, unseen_part
from efficient360.datasets.loader import card_of, open_dataset, open_split, open_whole
from efficient360.datasets.others import other_set, unseen_set
from efficient360.datasets.spec import DatasetSpec
from efficient360.errors import DatasetError
from efficient360.execution import runner
from efficient360.execution.events import Event, Finished, Opened
from efficient360.execution.plan import Plan, Step
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing
from efficient360.models.references import resolve

BASE = Checkpoint(CheckpointSpec("x"), "x", "vit", {}, Origin.FILE, None, "0", Preprocessing((3, 8, 8), (0.5,) * 3, (0.5,) * 3), 3, ("cat", "dog", "owl"))


def test_equal_names_or_equal_counts_need_nothing() -> None:
    card = read_card("digits")
    assert kept_outputs(BASE, card, ["cat", "dog", "owl"]) is None
    assert kept_outputs(dataclasses.replace(BASE, class_names=()), card, ["a", "b", "c"]) is None


def test_names_are_matched_whatever_their_order_and_number() -> None:
    assert kept_outputs(BASE, read_card("digits"), ["owl", "cat"]) == (2, 0)
    assert kept_outputs(BASE, read_card("digits"), ["dog", "owl", "cat"]) == (1, 2, 0)


def test_imagenet_subset_is_matched_by_its_card() -> None:
    imagenet = dataclasses.replace(BASE, num_classes=1000, class_names=())
    assert kept_outputs(imagenet, read_card("imagenette"), [str(i) for i in range(10)]) == (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)


def test_unmatched_counts_are_refused() -> None:
    with pytest.raises(DatasetError, match="answers with 3 classes, digits has 10") as caught:
        kept_outputs(BASE, read_card("digits"), [str(i) for i in range(10)])
    assert caught.value.code == "class-count-mismatch"


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


def test_a_local_copy_enters_the_identity_and_what_is_not_there_is_told(part: Checkpoint, tmp_path: Path) -> None:
    there = other_set(f"cifar100={tmp_path}", part, 0)
    assert there.name == "cifar100"
    (tmp_path / "note.txt").write_text("changed")
    assert other_set(f"cifar100={tmp_path}", part, 0).identity != there.identity
    with pytest.raises(DatasetError, match=r"holds neither test-\*\.parquet nor a folder"):
        there.test()
    with pytest.raises(DatasetError, match="there is no data set called 'cifar1000'"):
        other_set("cifar1000", part, 0)
