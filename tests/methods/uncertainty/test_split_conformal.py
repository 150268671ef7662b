import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from efficient360.methods.uncertainty.conformal_scores import AdaptiveScore, NonconformityScore, RegularizedScore, ThresholdScore, rank_classes
from efficient360.methods.uncertainty.split_conformal import (
    ConformalInputs,
    build_prediction_sets,
    conformal_threshold,
    coverage_distribution,
    draw_splits,
    threshold_rank,
)


@pytest.mark.parametrize("alpha", ["0.01", "0.05", "0.1", "0.15", "0.2", "0.3", "0.4", "0.7", "0.9"])
def test_the_rank_is_exact_for_every_number_of_examples(alpha: str) -> None:
    exact = Fraction(alpha)
    assert [threshold_rank(n, float(alpha)) for n in range(1, 3000)] == [math.ceil((n + 1) * (1 - exact)) for n in range(1, 3000)]


def test_a_threshold_by_hand() -> None:
    # ⌈(9 + 1) · 0.8⌉ = 8: the second largest of nine.
    scores = np.array([0.3, 0.9, 0.1, 0.4, 0.2, 0.8, 0.5, 0.7, 0.6])
    assert conformal_threshold(scores, 0.2) == 0.8
    assert conformal_threshold(scores, 0.1) == 0.9
    assert conformal_threshold(scores, 0.09) == math.inf


def test_splits_are_of_the_share_asked_for_and_never_empty() -> None:
    ids = [str(i) for i in range(10)]
    assert draw_splits(ids, 3, 0.3, 0).calibration.sum(axis=0).tolist() == [3, 3, 3]
    assert draw_splits(ids, 1, 0.001, 0).calibration_size == 1
    assert draw_splits(ids, 1, 0.999, 0).calibration_size == 9
    assert (draw_splits(ids, 3, 0.3, 0).test == ~draw_splits(ids, 3, 0.3, 0).calibration).all()


def test_splits_hang_on_ids_and_seed_not_on_order() -> None:
    ids = [f"test/{i}" for i in range(200)]
    splits, order = draw_splits(ids, 5, 0.5, 0), np.random.default_rng(0).permutation(200)
    other = draw_splits([ids[i] for i in order], 5, 0.5, 0)
    assert (other.calibration == splits.calibration[order]).all()
    assert (other.uniform == splits.uniform[order]).all()
    assert (draw_splits(ids, 5, 0.5, 1).calibration != splits.calibration).any()
    assert len({tuple(column) for column in splits.calibration.T}) == 5


def test_the_lots_are_uniform() -> None:
    assert stats.kstest(draw_splits([str(i) for i in range(600)], 1, 0.5, 0).uniform, "uniform").pvalue > 0.01


@pytest.mark.parametrize("alpha", [0.1, 0.25])
def test_exchangeable_scores_are_covered_as_the_law_says(alpha: float) -> None:
    # Nothing but exchangeability: the scores of 60 calibrating and 40 tested examples, drawn anew 4,000 times.
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(4000, 100)) ** 3
    counts = np.array([(row[60:] <= conformal_threshold(row[:60], alpha)).sum() for row in drawn])
    distribution = coverage_distribution(60, 40, alpha)
    assert counts.mean() / 40 == pytest.approx(threshold_rank(60, alpha) / 61, abs=3 * distribution.std() / 40 / np.sqrt(4000))
    assert counts.std() == pytest.approx(distribution.std(), rel=0.05)
    edges = distribution.ppf((0.2, 0.4, 0.6, 0.8)).astype(int)
    wanted = np.diff(np.concatenate([[0], distribution.cdf(edges), [1]])) * 4000
    seen = np.bincount(np.searchsorted(edges, counts, side="left"), minlength=5)
    assert stats.chisquare(seen, wanted).pvalue > 0.01


N, K = 120, 5


def inputs_of(number: int = 3, share: float = 0.5, n: int = N) -> tuple[ConformalInputs, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (n, K))
    labels = (logits + rng.gumbel(size=(n, K))).argmax(axis=1)
    return ConformalInputs(rank_classes(logits, labels), draw_splits([f"test/{i}" for i in range(n)], number, share, 0), lambda: None), logits, labels


def direct(score: str, logits: np.ndarray, chance: float) -> list[float]:
    """Scores of the classes of one example, by the definition and class by class."""
    share = np.exp(logits - logits.max())
    share /= share.sum()
    scores = []
    for k in range(K):
        before = [share[j] for j in range(K) if share[j] > share[k]]
        rank = len(before) + 1
        adaptive = sum(before) + (1 - chance) * share[k]
        scores.append({"thr": 1 - share[k], "aps": adaptive, "raps": adaptive + 0.05 * max(0, rank - 2)}[score])
    return scores


@pytest.mark.parametrize("score", [ThresholdScore(), AdaptiveScore(), RegularizedScore(0.05, 2)], ids=lambda s: s.name)
@pytest.mark.parametrize("share", [0.5, 0.25])
def test_against_the_definition_example_by_example(score: NonconformityScore, share: float) -> None:
    given, logits, labels = inputs_of(share=share)
    result = build_prediction_sets(score, given, (0.1, 0.3), (0.2,), np.ones((2, N)))
    scores = np.array([direct(score.name, logits[i], given.splits.uniform[i]) for i in range(N)])
    true = scores[np.arange(N), labels]
    means = []
    for s in range(3):
        calibrating = given.splits.calibration[:, s]
        for a, alpha in enumerate((0.1, 0.3)):
            cut = np.sort(true[calibrating])[math.ceil((calibrating.sum() + 1) * (1 - alpha) - 1e-9) - 1]
            sets = [{k for k in range(K) if scores[i, k] <= cut + 1e-12} for i in range(N)]
            tested = np.flatnonzero(~calibrating)
            assert [int(result.sets[a].sizes[i, s]) for i in tested] == [len(sets[i]) for i in tested]
            assert [bool(result.sets[a].covered[i, s]) for i in tested] == [labels[i] in sets[i] for i in tested]
            assert result.sets[a].coverages[s] == pytest.approx(np.mean([labels[i] in sets[i] for i in tested]))
        cut = np.sort(true[calibrating])[math.ceil((calibrating.sum() + 1) * 0.8 - 1e-9) - 1]
        means.append(np.mean([(scores[i] <= cut + 1e-12).sum() for i in range(N) if not calibrating[i]]))
    assert result.size_curve == pytest.approx([np.mean(means)])


def test_resampled_sizes_are_those_of_the_resample_itself() -> None:
    given, logits, labels = inputs_of()
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, N, (4, N))
    weights = np.stack([np.bincount(row, minlength=N) for row in drawn]).astype(float)
    mean_sizes = build_prediction_sets(ThresholdScore(), given, (0.1,), (), weights).sets[0].mean_sizes
    scores = np.array([direct("thr", logits[i], 0.0) for i in range(N)])
    for row, mean in zip(drawn, mean_sizes, strict=True):
        true = np.sort(scores[row, labels[row]])
        cut = true[math.ceil(threshold_rank(60, 0.1) / 60 * N) - 1]
        assert mean == pytest.approx((scores[row] <= cut + 1e-12).sum(axis=1).mean())


def test_more_examples_than_fit_in_a_part_change_nothing() -> None:
    given, _, _ = inputs_of(number=2, n=1500)
    result = build_prediction_sets(AdaptiveScore(), given, (0.1,), (0.2,), np.ones((2, 1500)))
    true = AdaptiveScore().scores(given.ranked.probability, given.splits.uniform)
    cuts = [
        np.sort(true[given.splits.calibration[:, s], given.ranked.true_rank[given.splits.calibration[:, s]]])[threshold_rank(750, 0.1) - 1] for s in range(2)
    ]
    assert (result.sets[0].sizes == np.stack([(true <= cut).sum(axis=1) for cut in cuts], axis=1)).all()


def test_shares_count_tested_splits_only() -> None:
    given, _, _ = inputs_of()
    sets = build_prediction_sets(ThresholdScore(), given, (0.1,), (), np.ones((2, N))).sets[0]
    assert sets.rate_when_tested(np.ones((N, 3), dtype=bool))[sets.ever_tested].tolist() == [1.0] * int(sets.ever_tested.sum())
    i = int(np.flatnonzero(sets.tested.sum(axis=1) == 2)[0])
    assert sets.rate_when_tested(sets.covered)[i] == sets.covered[i, sets.tested[i]].mean()
    assert sets.mean_size == pytest.approx(np.mean([sets.sizes[i, s] for i in range(N) for s in range(3) if sets.tested[i, s]]))
