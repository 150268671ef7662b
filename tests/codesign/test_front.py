import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from efficient360.codesign.front import dominates, front, hypervolume

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=25)


@given(POINTS)
def test_no_point_of_the_front_is_dominated_and_every_other_is(points: list[tuple[int, int]]) -> None:
    kept = set(front(points))
    for index, point in enumerate(points):
        beaten = any(other[0] <= point[0] and other[1] <= point[1] and other != point for other in points)
        assert (index in kept) is not beaten


@given(POINTS, st.tuples(st.integers(0, 12), st.integers(0, 12)))
def test_a_further_point_never_shrinks_the_dominated_area(points: list[tuple[int, int]], more: tuple[int, int]) -> None:
    assert hypervolume([*points, more], (13, 13)) >= hypervolume(points, (13, 13))


@given(POINTS)
def test_the_dominated_area_counts_cells(points: list[tuple[int, int]]) -> None:
    covered = np.zeros((13, 13), dtype=bool)
    for x, y in points:
        covered[x:, y:] = True
    assert hypervolume(points, (13, 13)) == covered.sum()


def test_by_hand() -> None:
    points = [(1.0, 5.0), (2.0, 2.0), (2.0, 3.0), (4.0, 1.0), (4.0, 1.0), (5.0, 0.5)]
    assert front(points) == [0, 1, 3, 4, 5]
    assert hypervolume(points, (6.0, 6.0)) == 5 * 1 + 4 * 3 + 2 * 1 + 1 * 0.5
    assert dominates((1, 1), (1, 2))
    assert not dominates((1, 1), (1, 1))
