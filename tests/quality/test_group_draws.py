import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from efficient360.quality.fairness import draws
from efficient360.quality.fairness.draws import permuted, resampled

STRATA = np.array([0, 2, 0, 1, 2, 2, 0])


def rows(kind, strata: np.ndarray, count: int, width: int = 1) -> np.ndarray:
    return np.concatenate(list(kind(strata, count, width, np.random.default_rng(0))))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_permutations_and_resamples_stay_within_strata(strata: list[int]) -> None:
    of = np.array(strata)
    for kind in (permuted, resampled):
        drawn = rows(kind, of, 5)
        assert drawn.shape == (5, len(of))
        assert (of[drawn] == of).all()
    assert (np.sort(rows(permuted, of, 5), axis=1) == np.arange(len(of))).all()


def test_every_permutation_is_as_likely() -> None:
    drawn = rows(permuted, np.zeros(3, dtype=int), 6000)
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 6
    assert counts.min() > 880    # 1000 expected, deviation 29
    assert counts.max() < 1120


def test_resamples_draw_with_replacement_evenly() -> None:
    drawn = rows(resampled, STRATA, 6000)
    counts = np.bincount(drawn[:, 0], minlength=7)
    assert counts[[1, 3, 4, 5]].sum() == 0
    assert counts[[0, 2, 6]] == pytest.approx([2000] * 3, abs=150)
    assert any(len(set(row[[0, 2, 6]])) < 3 for row in drawn)


def test_memory_is_bounded_by_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "CELLS", 70)
    sizes = [len(chunk) for chunk in permuted(STRATA, 25, 1, np.random.default_rng(0))]
    assert sizes == [10, 10, 5]
    assert [len(chunk) for chunk in resampled(STRATA, 3, 700, np.random.default_rng(0))] == [1, 1, 1]
