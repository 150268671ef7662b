import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from efficient360.datasets.examples import stratified

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=200)


@given(LABELS, st.integers(1, 220), st.integers(0, 5))
def test_subset_is_seeded_ascending_and_of_the_size_asked_for(labels: list[int], n: int, seed: int) -> None:
    array = np.array(labels)
    chosen = stratified(array, n, seed)
    assert len(chosen) == min(n, len(labels)) == len(set(chosen.tolist()))
    assert (np.diff(chosen) > 0).all()
    assert (chosen == stratified(array, n, seed)).all()


@given(LABELS, st.integers(1, 200), st.integers(0, 5))
def test_each_class_gets_its_share_within_one_example(labels: list[int], n: int, seed: int) -> None:
    array = np.array(labels)
    chosen = array[stratified(array, n, seed)]
    for label in set(labels):
        exact = len(chosen) * (array == label).sum() / len(array)
        assert abs((chosen == label).sum() - exact) < 2 + len(set(labels)) / 2


@given(LABELS, st.integers(1, 100), st.integers(0, 100), st.integers(0, 5))
def test_smaller_subset_is_part_of_larger(labels: list[int], n: int, more: int, seed: int) -> None:
    array = np.array(labels)
    assert set(stratified(array, n, seed).tolist()) <= set(stratified(array, n + more, seed).tolist())


def test_another_seed_gives_another_subset() -> None:
    labels = np.arange(1000) % 10
    assert (stratified(labels, 100, 0) != stratified(labels, 100, 1)).any()
    assert np.bincount(labels[stratified(labels, 100, 0)]).tolist() == [10] * 10
