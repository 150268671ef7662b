import math

import numpy as np
import pytest

from efficient360.methods.inclusiveness.relative_accuracy import relative_accuracy


def test_ratios_by_hand_with_a_paired_interval() -> None:
    clean = np.array([True] * 80 + [False] * 20)
    degraded = np.column_stack([clean & (np.arange(100) < 40), clean])
    relative = relative_accuracy(clean, degraded, 4000, np.random.default_rng(0))
    assert relative.ratios.tolist() == [0.5, 1.0]
    assert relative.mean == 0.75
    # Of 80 pairs, 40 are kept: as good as a binomial share.
    half = 1.96 * math.sqrt(0.25 / 80)
    assert (relative.intervals[0].low, relative.intervals[0].high) == (pytest.approx(0.5 - half, abs=0.01), pytest.approx(0.5 + half, abs=0.01))
    assert (relative.intervals[1].low, relative.intervals[1].high) == (1.0, 1.0)
    assert relative.mean_interval.low == pytest.approx(0.75 - half / 2, abs=0.006)


def test_paired_intervals_are_those_of_resampled_examples() -> None:
    rng = np.random.default_rng(0)
    clean, degraded = rng.random(60) < 0.8, rng.random((60, 2)) < 0.5
    relative = relative_accuracy(clean, degraded, 4000, np.random.default_rng(1))
    drawn = rng.integers(0, 60, (4000, 60))
    by_hand = np.quantile(degraded[drawn, 0].sum(1) / clean[drawn].sum(1), (0.025, 0.975))
    assert [relative.intervals[0].low, relative.intervals[0].high] == pytest.approx(by_hand.tolist(), abs=0.03)


def test_without_a_correct_clean_image_there_is_no_ratio() -> None:
    assert relative_accuracy(np.zeros(5, bool), np.zeros((5, 2), bool), 99, np.random.default_rng(0)) is None
