"""Entropy and mutual information by hand, and their bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.uncertainty.disagreement import answers

SURE = 1000.0


def test_two_members_that_are_certain_of_different_classes() -> None:
    found = answers([np.array([[SURE, 0.0]]), np.array([[0.0, SURE]])])
    assert found.entropy[0] == pytest.approx(np.log(2))
    assert found.mutual_information[0] == pytest.approx(np.log(2))
    assert found.within[0] == 0


def test_members_that_agree_have_nothing_in_common_to_learn() -> None:
    found = answers([np.log([[0.9, 0.1]])] * 3)
    assert found.mutual_information[0] == pytest.approx(0, abs=1e-12)
    assert found.entropy[0] == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)))
    np.testing.assert_allclose(found.probability, [[0.9, 0.1]])


@given(st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_mutual_information_lies_between_nothing_and_the_entropy(members: list[list[float]]) -> None:
    found = answers([np.array([one]) for one in members])
    assert 0 <= found.mutual_information[0] <= found.entropy[0] + 1e-12 <= np.log(3) + 1e-9
    assert found.probability.sum() == pytest.approx(1)
