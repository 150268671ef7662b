import numpy as np
import pytest

from efficient360.methods.compression.clustering import Clustering
from efficient360.methods.compression.compressor import Compressor
from efficient360.methods.compression.figures import accuracy_by_size, accuracy_by_work, validity_warnings, variants_table
from efficient360.methods.compression.quantization import HalfPrecision, Quantization
from efficient360.methods.compression.results import VariantResult, best_compression, points, smallest_within
from efficient360.methods.compression.token_merging import TokenMerging

BEFORE = np.arange(1000) < 900


def result_of(compressor: Compressor, ratio: float, lost: int, won: int = 0, macs_ratio: float | None = 1.0) -> VariantResult:
    right = BEFORE.copy()
    right[:lost] = False
    right[900 : 900 + won] = True
    return VariantResult(compressor, round(1e6 / ratio), ratio, macs_ratio, right, right == BEFORE, BEFORE)


RESULTS = [
    result_of(HalfPrecision(), 2, 0),
    result_of(Quantization(4), 7, 8, 3),
    result_of(Clustering(64), 5, 1),
    result_of(Quantization(2), 11, 200),
    result_of(TokenMerging(40), 1, 10, macs_ratio=1.5),
]


def test_the_smallest_that_loses_no_more() -> None:
    assert smallest_within(RESULTS, 0.01) == RESULTS[1]  # half a point is lost
    assert smallest_within(RESULTS, 0.004) == RESULTS[2]
    assert smallest_within(RESULTS, 0.005) == RESULTS[1]  # no more than: as much is allowed
    assert smallest_within(RESULTS, 0.2) == RESULTS[3]
    assert smallest_within(RESULTS[4:], 0.5) is None


def test_its_interval_chooses_anew() -> None:
    measured = best_compression(RESULTS, 0.01, 2000, [0], ())
    assert (measured.value, measured.n, measured.conditions) == (7, 1000, {"tolerated": "1 point"})
    # Eight lost and three won of a thousand: a point more than half as lost in one resample of about fourteen.
    assert measured.interval is not None
    assert (measured.interval.low, measured.interval.high) == (5, 7)
    sure = best_compression([RESULTS[0], RESULTS[3]], 0.01, 500, [0], ())
    assert sure.interval is not None
    assert (sure.value, sure.interval.low, sure.interval.high) == (2, 2, 2)
    nothing = best_compression(RESULTS[4:], 0.5, 100, [0], ())
    assert nothing.value == 1


def test_the_share_of_resamples_within_is_the_binomials() -> None:
    from scipy import stats

    # Loses k of n images and wins none: within the tolerance in P(Binomial(n, k / n) <= 10) of the resamples.
    lost = 17
    inside = stats.binom.cdf(10, 1000, lost / 1000)
    assert 0.025 < inside < 0.1
    measured = best_compression([result_of(Clustering(16), 7, lost)], 0.01, 4000, [3], ())
    assert measured.interval is not None
    assert (measured.value, measured.interval.low, measured.interval.high) == (1, 1, 7)


def test_changes_in_pairs() -> None:
    from efficient360.core.statistics import newcombe_paired

    result = RESULTS[1]
    assert result.change == pytest.approx(-0.005)
    assert result.discordance == pytest.approx(0.011)
    assert result.change_interval == newcombe_paired(892, 3, 8, 97)
    values = {m.metric.name: m.value for m in result.measurements()}
    assert values == pytest.approx(
        {
            "compression_ratio": 7,
            "compressed_bytes": 142857,
            "compressed_accuracy": 0.895,
            "accuracy_change": -0.005,
            "same_answers": 0.989,
        }
    )
    assert {m.metric.name: m.value for m in RESULTS[4].measurements()}["macs_ratio"] == 1.5


def test_figures() -> None:
    curve = accuracy_by_size(RESULTS, RESULTS[1])
    assert [s.name for s in curve.series] == ["bfloat16", "Quantization", "Weight clustering", "smallest within tolerance", "uncompressed"]
    assert curve.series[1].x == (7, 11)
    assert curve.series[1].y == pytest.approx((0.895, 0.7))
    work = accuracy_by_work(RESULTS)
    assert work is not None
    assert [(s.name, s.x) for s in work.series] == [("Token merging", (1.5,)), ("uncompressed", (1.0, 1.5))]
    assert accuracy_by_work(RESULTS[:2]) is None
    rows = variants_table(RESULTS, RESULTS[1], 0.01)
    assert rows.title == "Variants on 1,000 images: Quantization (4 bits) is the smallest within 1 point of accuracy"
    assert rows.rows[4][0:2] == ("Token merging", "40 % merged")
    assert rows.rows[4][-1] == "67 %"
    assert variants_table([result_of(HalfPrecision(), 2, 500, macs_ratio=None)], None, 0.005).title.endswith("none is within 0.5 points of accuracy")


def test_what_is_not_decided_is_told() -> None:
    messages = {finding.code: finding.message for finding in validity_warnings(RESULTS, 0.01)}
    assert "2 of 5 variants lose more than 1 point: Quantization (4 bits), Token merging (40 % merged)" in messages["undecided"]
    # One of a thousand answers differs: 0.001 · (1.96 / 0.001)² images.
    assert "about 3,800 images" in messages["fine-loss"]
    assert not list(validity_warnings([RESULTS[0]], 0.01))


def test_points() -> None:
    assert [points(share) for share in (0.01, 0.005, 0.02, 0)] == ["1 point", "0.5 points", "2 points", "0 points"]
