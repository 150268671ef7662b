"""Entropy and mutual information by hand, and their bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.methods.uncertainty.predictive_distribution import average_members

SURE = 1000.0


def test_two_members_that_are_certain_of_different_classes() -> None:
    predictive = average_members([np.array([[SURE, 0.0]]), np.array([[0.0, SURE]])])
    assert predictive.entropy[0] == pytest.approx(np.log(2))
    assert predictive.mutual_information[0] == pytest.approx(np.log(2))
    assert predictive.expected_entropy[0] == 0


def test_members_that_agree_have_nothing_in_common_to_learn() -> None:
    predictive = average_members([np.log([[0.9, 0.1]])] * 3)
    assert predictive.mutual_information[0] == pytest.approx(0, abs=1e-12)
    assert predictive.entropy[0] == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)))
    np.testing.assert_allclose(predictive.probability, [[0.9, 0.1]])


@given(st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_mutual_information_lies_between_nothing_and_the_entropy(members: list[list[float]]) -> None:
    predictive = average_members([np.array([one]) for one in members])
    assert 0 <= predictive.mutual_information[0] <= predictive.entropy[0] + 1e-12 <= np.log(3) + 1e-9
    assert predictive.probability.sum() == pytest.approx(1)
