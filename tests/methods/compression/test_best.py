import numpy as np
import pytest

from efficient360.methods.compression.best import best, chosen
from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compressor import Compressor
from efficient360.methods.compression.half import Half
from efficient360.methods.compression.pictures import against_size, against_work, findings, points, table
from efficient360.methods.compression.quantization import Quantization
from efficient360.methods.compression.token_merging import TokenMerging
from efficient360.methods.compression.trial import Trial

BEFORE = np.arange(1000) < 900


def trial(compressor: Compressor, ratio: float, lost: int, won: int = 0, macs_ratio: float | None = 1.0) -> Trial:
    right = BEFORE.copy()
    right[:lost] = False
    right[900 : 900 + won] = True
    return Trial(compressor, round(1e6 / ratio), ratio, macs_ratio, right, right == BEFORE, BEFORE)


TRIALS = [
    trial(Half(), 2, 0),
    trial(Quantization(4), 7, 8, 3),
    trial(Clustering(64), 5, 1),
    trial(Quantization(2), 11, 200),
    trial(TokenMerging(40), 1, 10, macs_ratio=1.5),
]


def test_the_smallest_that_loses_no_more() -> None:
    assert chosen(TRIALS, 0.01) == TRIALS[1]  # half a point is lost
    assert chosen(TRIALS, 0.004) == TRIALS[2]
    assert chosen(TRIALS, 0.005) == TRIALS[1]  # no more than: as much is allowed
    assert chosen(TRIALS, 0.2) == TRIALS[3]
    assert chosen(TRIALS[4:], 0.5) is None


def test_its_interval_chooses_anew() -> None:
    found = best(TRIALS, 0.01, 2000, [0], ())
    assert (found.value, found.n, found.conditions) == (7, 1000, {"tolerated": "1 point"})
    # Eight lost and three won of a thousand: a point more than half as lost in one resample of about fourteen.
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (5, 7)
    sure = best([TRIALS[0], TRIALS[3]], 0.01, 500, [0], ())
    assert sure.interval is not None
    assert (sure.value, sure.interval.low, sure.interval.high) == (2, 2, 2)
    nothing = best(TRIALS[4:], 0.5, 100, [0], ())
    assert nothing.value == 1


def test_the_share_of_resamples_within_is_the_binomials() -> None:
    from scipy import stats

    # Loses k of n images and wins none: within the tolerance in P(Binomial(n, k / n) <= 10) of the resamples.
    lost = 17
    inside = stats.binom.cdf(10, 1000, lost / 1000)
    assert 0.025 < inside < 0.1
    found = best([trial(Clustering(16), 7, lost)], 0.01, 4000, [3], ())
    assert found.interval is not None
    assert (found.value, found.interval.low, found.interval.high) == (1, 1, 7)


def test_changes_in_pairs() -> None:
    from efficient360.core.statistics import newcombe_paired

    one = TRIALS[1]
    assert one.change == pytest.approx(-0.005)
    assert one.discordance == pytest.approx(0.011)
    assert one.change_interval == newcombe_paired(892, 3, 8, 97)
    values = {m.metric.name: m.value for m in one.measurements()}
    assert values == pytest.approx(
        {
            "compression_ratio": 7,
            "compressed_bytes": 142857,
            "compressed_accuracy": 0.895,
            "accuracy_change": -0.005,
            "same_answers": 0.989,
        }
    )
    assert {m.metric.name: m.value for m in TRIALS[4].measurements()}["macs_ratio"] == 1.5


def test_figures() -> None:
    curve = against_size(TRIALS, TRIALS[1])
    assert [s.name for s in curve.series] == ["bfloat16", "Quantization", "Weight clustering", "smallest within tolerance", "as it is"]
    assert curve.series[1].x == (7, 11)
    assert curve.series[1].y == pytest.approx((0.895, 0.7))
    work = against_work(TRIALS)
    assert work is not None
    assert [(s.name, s.x) for s in work.series] == [("Token merging", (1.5,)), ("as it is", (1.0, 1.5))]
    assert against_work(TRIALS[:2]) is None
    rows = table(TRIALS, TRIALS[1], 0.01)
    assert rows.title == "What was tried, on 1,000 images: Quantization (4 bits) is the smallest within 1 point"
    assert rows.rows[4][0:2] == ("Token merging", "40 % merged")
    assert rows.rows[4][-1] == "67 %"
    assert table([trial(Half(), 2, 500, macs_ratio=None)], None, 0.005).title.endswith("none is within 0.5 points")


def test_what_is_not_decided_is_told() -> None:
    told = {finding.code: finding.message for finding in findings(TRIALS, 0.01)}
    assert "2 of 5 variants lose more than 1 point: Quantization (4 bits), Token merging (40 % merged)" in told["undecided"]
    # One of a thousand answers differs: 0.001 · (1.96 / 0.001)² images.
    assert "some 3,800 images" in told["fine-loss"]
    assert not list(findings([TRIALS[0]], 0.01))


def test_points() -> None:
    assert [points(share) for share in (0.01, 0.005, 0.02, 0)] == ["1 point", "0.5 points", "2 points", "0 points"]
