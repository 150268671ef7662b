import numpy as np
import pytest

from efficient360.core.permutation_null import beyond, centred


def test_excess_and_p_value_by_hand() -> None:
    found = beyond(0.3, np.array([0.1, 0.2, 0.3, 0.4]))
    assert (found.chance, found.excess, found.reached) == (0.25, pytest.approx(0.05), 2)
    assert found.p_value == 3 / 5


def test_a_p_value_is_never_zero() -> None:
    assert beyond(1.0, np.zeros(99)).p_value == 0.01


def test_draws_that_differ_by_rounding_count_as_equal() -> None:
    assert beyond(0.1 + 0.2, np.array([0.3])).reached == 1


def test_interval_of_a_p_value_is_scaled_with_its_correction() -> None:
    found = beyond(0.5, np.linspace(0, 1, 101)[:-1])  # 50 of 100 reach it
    plain, corrected = found.p_interval(found.p_value), found.p_interval(2 * found.p_value)
    assert plain.low <= found.p_value <= plain.high
    assert corrected.low == pytest.approx(2 * plain.low)
    assert corrected.high == 1


def test_a_centred_interval_has_the_spread_of_the_draws_around_the_value() -> None:
    draws = np.random.default_rng(0).normal(5, 1, 10000)
    found = centred(0.0, draws, -10, 10)
    assert (found.low, found.high) == (pytest.approx(-1.96, abs=0.06), pytest.approx(1.96, abs=0.06))
    assert centred(0.0, draws, -1, 1).low == -1
    assert centred(0.5, np.zeros(9), 0, 1).high == 0.5
