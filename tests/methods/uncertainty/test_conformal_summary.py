from typing import Any

import numpy as np
import pytest

from efficient360.methods.uncertainty.conformal_summary import size_stratified_coverage
from efficient360.methods.uncertainty.split_conformal import PredictionSets


def sets_of(sizes: list[int], covered: list[int], alpha: float = 0.1) -> PredictionSets:
    """One split in which every example was tested."""
    n = len(sizes)
    return PredictionSets(alpha, np.ones((n, 1), dtype=bool), np.array(sizes)[:, None], np.array(covered, dtype=bool)[:, None], np.ones(2))


def stratified(sets: PredictionSets, minimum: int = 1) -> Any:
    n = len(sets.sizes)
    rng = np.random.default_rng(0)
    weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(300)]).astype(float)
    return size_stratified_coverage(sets, minimum, weights, np.random.default_rng(1))


def test_a_table_worked_by_hand() -> None:
    # Four sets of 0 or 1 class cover 3 times, four of 2 or 3 always, two of over 10 never.
    result = stratified(sets_of([0, 1, 1, 1, 2, 3, 3, 3, 11, 50], [0, 1, 1, 1, 1, 1, 1, 1, 0, 0]))
    assert result.names == ("0–1", "2–3", "11–100")
    assert result.sizes.tolist() == [4, 4, 2]
    assert result.coverages.tolist() == [0.75, 1.0, 0.0]
    assert result.violation == pytest.approx(0.9)
    assert stratified(sets_of([1, 1, 1, 1, 4, 10], [1, 1, 1, 0, 1, 1]), minimum=4).violation == pytest.approx(0.15)


def test_strata_too_small_are_left_out() -> None:
    assert stratified(sets_of([1, 1, 2], [1, 1, 0]), minimum=3) is None


@pytest.mark.slow
def test_sets_that_cover_alike_at_every_size_show_what_chance_gives() -> None:
    rng = np.random.default_rng(2)
    runs = [stratified(sets_of(rng.choice([1, 2, 5], 300).tolist(), (rng.random(300) < 0.9).astype(int).tolist())) for _ in range(40)]
    values = np.array([result.violation for result in runs])
    assert values.mean() == pytest.approx(np.mean([result.null_mean for result in runs]), abs=3 * values.std() / np.sqrt(40))
    assert np.mean([result.null_interval.low <= result.violation <= result.null_interval.high for result in runs]) >= 0.85


def test_large_sets_that_miss_are_found() -> None:
    rng = np.random.default_rng(3)
    sizes = rng.choice([1, 5], 1000)
    result = stratified(sets_of(sizes.tolist(), (rng.random(1000) < np.where(sizes == 5, 0.7, 0.95)).astype(int).tolist()))
    assert result.violation == pytest.approx(0.2, abs=0.05)
    assert result.violation > result.null_interval.high
    assert result.interval.low < result.violation < result.interval.high
    assert result.interval.low < 0.2 < result.interval.high + 0.03
