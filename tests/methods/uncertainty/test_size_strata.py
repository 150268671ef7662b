import numpy as np
import pytest

from efficient360.methods.uncertainty.prediction_sets import Sets
from efficient360.methods.uncertainty.size_strata import violation


def sets_of(sizes: list[int], covered: list[int], alpha: float = 0.1) -> Sets:
    """One split in which every example was tested."""
    n = len(sizes)
    return Sets(alpha, np.ones((n, 1), dtype=bool), np.array(sizes)[:, None], np.array(covered, dtype=bool)[:, None], np.ones(2))


def found(sets: Sets, minimum: int = 1) -> object:
    n = len(sets.sizes)
    rng = np.random.default_rng(0)
    weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(300)]).astype(float)
    return violation(sets, minimum, weights, np.random.default_rng(1))


def test_a_table_worked_by_hand() -> None:
    # Four sets of 0 or 1 class cover 3 times, four of 2 or 3 always, two of over 10 never.
    of = found(sets_of([0, 1, 1, 1, 2, 3, 3, 3, 11, 50], [0, 1, 1, 1, 1, 1, 1, 1, 0, 0]))
    assert of.names == ("0–1", "2–3", "11–100")
    assert of.sizes.tolist() == [4, 4, 2]
    assert of.coverages.tolist() == [0.75, 1.0, 0.0]
    assert of.value == pytest.approx(0.9)
    assert found(sets_of([1, 1, 1, 1, 4, 10], [1, 1, 1, 0, 1, 1]), minimum=4).value == pytest.approx(0.15)


def test_strata_too_small_are_left_out() -> None:
    assert found(sets_of([1, 1, 2], [1, 1, 0]), minimum=3) is None


@pytest.mark.slow
def test_sets_that_cover_alike_at_every_size_show_what_chance_gives() -> None:
    rng = np.random.default_rng(2)
    runs = [found(sets_of(rng.choice([1, 2, 5], 300).tolist(), (rng.random(300) < 0.9).astype(int).tolist())) for _ in range(40)]
    values = np.array([of.value for of in runs])
    assert values.mean() == pytest.approx(np.mean([of.chance for of in runs]), abs=3 * values.std() / np.sqrt(40))
    assert np.mean([of.chance_interval.low <= of.value <= of.chance_interval.high for of in runs]) >= 0.85


def test_large_sets_that_miss_are_found() -> None:
    rng = np.random.default_rng(3)
    sizes = rng.choice([1, 5], 1000)
    of = found(sets_of(sizes.tolist(), (rng.random(1000) < np.where(sizes == 5, 0.7, 0.95)).astype(int).tolist()))
    assert of.value == pytest.approx(0.2, abs=0.05)
    assert of.value > of.chance_interval.high
    assert of.interval.low < of.value < of.interval.high
    assert of.interval.low < 0.2 < of.interval.high + 0.03
