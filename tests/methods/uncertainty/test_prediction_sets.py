import math

import numpy as np
import pytest

from efficient360.methods.uncertainty.conformal_scores import Adaptive, Regularized, Score, Threshold, ranked
from efficient360.methods.uncertainty.conformal_splits import rank_of, splits
from efficient360.methods.uncertainty.prediction_sets import Answers, made

N, K = 120, 5


def answers(number: int = 3, share: float = 0.5, n: int = N) -> tuple[Answers, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (n, K))
    labels = (logits + rng.gumbel(size=(n, K))).argmax(axis=1)
    return Answers(ranked(logits, labels), splits([f"test/{i}" for i in range(n)], number, share, 0), lambda: None), logits, labels


def direct(score: str, logits: np.ndarray, chance: float) -> list[float]:
    """Scores of the classes of one example, by the definition and class by class."""
    share = np.exp(logits - logits.max())
    share /= share.sum()
    found = []
    for k in range(K):
        before = [share[j] for j in range(K) if share[j] > share[k]]
        rank = len(before) + 1
        adaptive = sum(before) + (1 - chance) * share[k]
        found.append({"thr": 1 - share[k], "aps": adaptive, "raps": adaptive + 0.05 * max(0, rank - 2)}[score])
    return found


@pytest.mark.parametrize("score", [Threshold(), Adaptive(), Regularized(0.05, 2)], ids=lambda s: s.name)
@pytest.mark.parametrize("share", [0.5, 0.25])
def test_against_the_definition_example_by_example(score: Score, share: float) -> None:
    given, logits, labels = answers(share=share)
    of = made(score, given, (0.1, 0.3), (0.2,), np.ones((2, N)))
    scores = np.array([direct(score.name, logits[i], given.splits.chance[i]) for i in range(N)])
    true = scores[np.arange(N), labels]
    means = []
    for s in range(3):
        calibrating = given.splits.calibrating[:, s]
        for a, alpha in enumerate((0.1, 0.3)):
            cut = np.sort(true[calibrating])[math.ceil((calibrating.sum() + 1) * (1 - alpha) - 1e-9) - 1]
            sets = [{k for k in range(K) if scores[i, k] <= cut + 1e-12} for i in range(N)]
            tested = np.flatnonzero(~calibrating)
            assert [int(of.sets[a].sizes[i, s]) for i in tested] == [len(sets[i]) for i in tested]
            assert [bool(of.sets[a].covered[i, s]) for i in tested] == [labels[i] in sets[i] for i in tested]
            assert of.sets[a].coverages[s] == pytest.approx(np.mean([labels[i] in sets[i] for i in tested]))
        cut = np.sort(true[calibrating])[math.ceil((calibrating.sum() + 1) * 0.8 - 1e-9) - 1]
        means.append(np.mean([(scores[i] <= cut + 1e-12).sum() for i in range(N) if not calibrating[i]]))
    assert of.curve == pytest.approx([np.mean(means)])


def test_resampled_sizes_are_those_of_the_resample_itself() -> None:
    given, logits, labels = answers()
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, N, (4, N))
    weights = np.stack([np.bincount(row, minlength=N) for row in drawn]).astype(float)
    found = made(Threshold(), given, (0.1,), (), weights).sets[0].mean_sizes
    scores = np.array([direct("thr", logits[i], 0.0) for i in range(N)])
    for row, mean in zip(drawn, found, strict=True):
        true = np.sort(scores[row, labels[row]])
        cut = true[math.ceil(rank_of(60, 0.1) / 60 * N) - 1]
        assert mean == pytest.approx((scores[row] <= cut + 1e-12).sum(axis=1).mean())


def test_more_examples_than_fit_in_a_part_change_nothing() -> None:
    given, _, _ = answers(number=2, n=1500)
    of = made(Adaptive(), given, (0.1,), (0.2,), np.ones((2, 1500)))
    true = Adaptive().of(given.ranked.probability, given.splits.chance)
    cuts = [np.sort(true[given.splits.calibrating[:, s], given.ranked.place[given.splits.calibrating[:, s]]])[rank_of(750, 0.1) - 1] for s in range(2)]
    assert (of.sets[0].sizes == np.stack([(true <= cut).sum(axis=1) for cut in cuts], axis=1)).all()


def test_shares_count_tested_splits_only() -> None:
    given, _, _ = answers()
    sets = made(Threshold(), given, (0.1,), (), np.ones((2, N))).sets[0]
    assert sets.share(np.ones((N, 3), dtype=bool))[sets.ever].tolist() == [1.0] * int(sets.ever.sum())
    i = int(np.flatnonzero(sets.tested.sum(axis=1) == 2)[0])
    assert sets.share(sets.covered)[i] == sets.covered[i, sets.tested[i]].mean()
    assert sets.mean_size == pytest.approx(np.mean([sets.sizes[i, s] for i in range(N) for s in range(3) if sets.tested[i, s]]))
