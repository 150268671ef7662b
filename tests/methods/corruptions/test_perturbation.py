import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from efficient360.methods.corruptions.drifting import Brightening
from efficient360.methods.corruptions.perturbation import Perturbation
from efficient360.methods.corruptions.sequence_tables import CIFAR_P, IMAGENET_P, PERTURBATIONS, suited

IN_TURN, WITH_FIRST = Perturbation(Brightening(0, 0), 31), Perturbation(Brightening(0, 0), 31, "first")


def by_definition(answers: list[int], noise: bool) -> float:
    """Section 4.2 of the paper, frame by frame: noise against the first, all else against the frame before."""
    flips = 0
    for j in range(1, len(answers)):
        flips += answers[j] != answers[0 if noise else j - 1]
    return flips / (len(answers) - 1)


def test_flips_by_hand() -> None:
    """Cat cat dog dog cat: two flips in four steps; against the first frame the two dogs."""
    answers = np.array([[3, 3, 5, 5, 3], [1, 1, 1, 1, 2]])
    assert IN_TURN.flips(answers).tolist() == [[False, True, False, True], [False, False, False, True]]
    assert WITH_FIRST.flips(answers).tolist() == [[False, True, True, False], [False, False, False, True]]


@given(arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(2, 12)), elements=st.integers(0, 2)))
def test_flip_probability_is_that_of_a_plain_loop(answers: np.ndarray) -> None:
    assert IN_TURN.flips(answers).mean(1).tolist() == pytest.approx([by_definition(row, False) for row in answers.tolist()])
    assert WITH_FIRST.flips(answers).mean(1).tolist() == pytest.approx([by_definition(row, True) for row in answers.tolist()])


def test_fewer_frames_are_the_middle_ones_and_of_noise_the_first() -> None:
    assert IN_TURN.steps() == WITH_FIRST.steps() == range(31)
    assert IN_TURN.steps(5) == range(13, 18)  # frame 15 is the one that nothing was done to
    assert WITH_FIRST.steps(5) == range(5)
    assert IN_TURN.steps(31) == IN_TURN.steps(99) == range(31)


def test_the_tables_have_the_published_lengths_and_only_noise_is_compared_with_the_first() -> None:
    assert {name: one.length for name, one in IMAGENET_P.items() if one.length != 31} == {"translate": 41}
    assert {name: one.length for name, one in CIFAR_P.items() if one.length != 31} == {"motion_blur": 21, "translate": 16}
    assert tuple(CIFAR_P) == PERTURBATIONS
    for table in (IMAGENET_P, CIFAR_P):
        assert [name for name, one in table.items() if one.compared == "first"] == ["gaussian_noise", "shot_noise"]


@pytest.mark.parametrize(
    ("table", "size", "found"),
    [("auto", (32, 32), "cifar-p"), ("auto", (64, 65), "imagenet-p"), ("auto", (224, 224), "imagenet-p"), ("cifar-p", (224, 224), "cifar-p")],
)
def test_auto_takes_the_table_that_the_size_is_meant_for(table: str, size: tuple[int, int], found: str) -> None:
    assert suited(table, *size) == found
