import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_examples import InMemory, bright_disks

from efficient360.errors import Unsupported
from efficient360.methods.privacy.member_pairs import class_balanced, other_training_examples, pair_members

Labels = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(lambda labels: np.array(labels, dtype=np.int64))


@given(Labels, Labels, st.integers(1, 60), st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_members_and_nonmembers_have_the_same_classes_equally_often(first: np.ndarray, second: np.ndarray, n: int, seed: int) -> None:
    ours, theirs = class_balanced(first, second, n, seed)
    assert sorted(first[ours]) == sorted(second[theirs])
    assert len(set(ours)) == len(ours) == len(set(theirs)) == len(theirs) <= n
    most = sum(min((first == label).sum(), (second == label).sum()) for label in range(5))
    assert len(ours) == min(n, most)


@given(Labels, Labels, st.integers(1, 30), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_a_smaller_choice_is_part_of_a_larger(first: np.ndarray, second: np.ndarray, n: int, seed: int) -> None:
    smaller, larger = class_balanced(first, second, n, seed), class_balanced(first, second, 2 * n, seed)
    assert all(set(a) <= set(b) for a, b in zip(smaller, larger, strict=True))


def test_pairs_are_of_equal_size_and_seeded() -> None:
    training, evaluated = bright_disks(90, 4, 0, "train"), bright_disks(40, 4, 1, "test")
    pairs = pair_members(training, evaluated, None, 0)
    assert len(pairs.members) == len(pairs.nonmembers) == 40
    assert pair_members(training, evaluated, None, 0).ids == pairs.ids
    assert pair_members(training, evaluated, None, 1).ids != pairs.ids
    assert {name.partition("/")[0] for name in pairs.members.ids} == {"train"}
    assert len(pair_members(training, evaluated, 12, 0)) == 12
    assert set(pairs.subset(12, 0).ids) <= set(pairs.ids)


def test_too_few_of_common_classes_are_refused() -> None:
    training, evaluated = bright_disks(40, 4, 0, "train"), bright_disks(8, 4, 1, "test")
    with pytest.raises(Unsupported, match="only 8 training images") as caught:
        pair_members(training, evaluated, None, 0)
    assert caught.value.code == "too-few-members"


def test_other_training_examples_are_no_members() -> None:
    training = bright_disks(50, 4, 0, "train")
    members = training.subset(20, 0)
    others = other_training_examples(training, members, 25, 0)
    assert isinstance(others, InMemory)
    assert len(others) == 25
    assert not set(others.ids) & set(members.ids)
    assert len(other_training_examples(training, members, 1000, 0) or ()) == 30
    assert other_training_examples(training, training, 10, 0) is None
