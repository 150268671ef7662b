import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from efficient360.methods.uncertainty.conformal_splits import coverage_law, rank_of, splits, threshold


@pytest.mark.parametrize("alpha", ["0.01", "0.05", "0.1", "0.15", "0.2", "0.3", "0.4", "0.7", "0.9"])
def test_the_rank_is_exact_for_every_number_of_examples(alpha: str) -> None:
    exact = Fraction(alpha)
    assert [rank_of(n, float(alpha)) for n in range(1, 3000)] == [math.ceil((n + 1) * (1 - exact)) for n in range(1, 3000)]


def test_a_threshold_by_hand() -> None:
    # ⌈(9 + 1) · 0.8⌉ = 8: the second largest of nine.
    scores = np.array([0.3, 0.9, 0.1, 0.4, 0.2, 0.8, 0.5, 0.7, 0.6])
    assert threshold(scores, 0.2) == 0.8
    assert threshold(scores, 0.1) == 0.9
    assert threshold(scores, 0.09) == math.inf


def test_splits_are_of_the_share_asked_for_and_never_empty() -> None:
    ids = [str(i) for i in range(10)]
    assert splits(ids, 3, 0.3, 0).calibrating.sum(axis=0).tolist() == [3, 3, 3]
    assert splits(ids, 1, 0.001, 0).size == 1
    assert splits(ids, 1, 0.999, 0).size == 9
    assert (splits(ids, 3, 0.3, 0).tested == ~splits(ids, 3, 0.3, 0).calibrating).all()


def test_splits_hang_on_ids_and_seed_not_on_order() -> None:
    ids = [f"test/{i}" for i in range(200)]
    of, order = splits(ids, 5, 0.5, 0), np.random.default_rng(0).permutation(200)
    other = splits([ids[i] for i in order], 5, 0.5, 0)
    assert (other.calibrating == of.calibrating[order]).all()
    assert (other.chance == of.chance[order]).all()
    assert (splits(ids, 5, 0.5, 1).calibrating != of.calibrating).any()
    assert len({tuple(column) for column in of.calibrating.T}) == 5


def test_the_lots_are_uniform() -> None:
    assert stats.kstest(splits([str(i) for i in range(600)], 1, 0.5, 0).chance, "uniform").pvalue > 0.01


@pytest.mark.parametrize("alpha", [0.1, 0.25])
def test_exchangeable_scores_are_covered_as_the_law_says(alpha: float) -> None:
    # Nothing but exchangeability: the scores of 60 calibrating and 40 tested examples, drawn anew 4,000 times.
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(4000, 100)) ** 3
    counts = np.array([(row[60:] <= threshold(row[:60], alpha)).sum() for row in drawn])
    law = coverage_law(60, 40, alpha)
    assert counts.mean() / 40 == pytest.approx(rank_of(60, alpha) / 61, abs=3 * law.std() / 40 / np.sqrt(4000))
    assert counts.std() == pytest.approx(law.std(), rel=0.05)
    edges = law.ppf((0.2, 0.4, 0.6, 0.8)).astype(int)
    wanted = np.diff(np.concatenate([[0], law.cdf(edges), [1]])) * 4000
    seen = np.bincount(np.searchsorted(edges, counts, side="left"), minlength=5)
    assert stats.chisquare(seen, wanted).pvalue > 0.01
