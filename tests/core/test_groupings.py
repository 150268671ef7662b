import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.groupings import group_by, intersect, intersections, quantile_groups


def test_groups_by_value_in_the_order_of_their_names() -> None:
    found = group_by("camera", ["b", "a", "b", "c"])
    assert (found.name, found.names, found.codes.tolist(), found.sizes.tolist()) == ("camera", ("a", "b", "c"), [1, 0, 1, 2], [1, 2, 1])


def test_crossing_makes_a_group_of_every_pair_that_occurs() -> None:
    found = intersect(group_by("x", ["a", "a", "b"]), group_by("y", ["1", "2", "2"]))
    assert (found.name, found.names, found.codes.tolist()) == ("x × y", ("a × 1", "a × 2", "b × 2"), [0, 1, 2])


def test_crossings_up_to_a_number_of_columns() -> None:
    columns = [group_by(name, ["0", "1"]) for name in "xyz"]
    assert [found.name for found in intersections(columns, 1)] == ["x", "y", "z"]
    assert [found.name for found in intersections(columns, 3)] == ["x", "y", "z", "x × y", "x × z", "y × z", "x × y × z"]
    assert intersections([], 2) == []


def test_a_value_is_cut_into_groups_of_equal_size() -> None:
    found = quantile_groups("size", np.arange(9.0)[::-1], 3)
    assert found.names == ("lowest of 3", "2 of 3", "highest of 3")
    assert found.codes.tolist() == [2, 2, 2, 1, 1, 1, 0, 0, 0]


def test_equal_values_stay_together_and_empty_groups_are_left_out() -> None:
    found = quantile_groups("size", np.array([0.0] * 8 + [1.0]), 3)
    assert found.names == ("highest of 3",)
    assert quantile_groups("size", np.ones(5), 4).sizes.tolist() == [5]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(2, 6))
def test_a_cut_keeps_the_order_of_values(values: list[int], levels: int) -> None:
    of = np.array(values, dtype=float)
    codes = quantile_groups("x", of, levels).codes
    assert all((codes[i] <= codes[j]) for i in range(len(of)) for j in range(len(of)) if of[i] <= of[j])


def test_some_groups_only_group_after_group() -> None:
    positions, kept = group_by("camera", ["b", "a", "c", "a", "b"]).select(np.array([True, False, True]))
    assert (positions.tolist(), kept.names, kept.codes.tolist()) == ([1, 3, 2], ("a", "c"), [0, 0, 1])
