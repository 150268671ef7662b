import dataclasses

import pytest

from efficient360.datasets.card import read_card
from efficient360.datasets.matching import kept_outputs
from efficient360.errors import DatasetError
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec, Origin, Preprocessing

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
