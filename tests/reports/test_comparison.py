import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from efficient360.core.measurement import MAC, NAT, ONE, Better, Interval, Measurement, Metric
from efficient360.core.outcome import Record
from efficient360.core.statistics import holm
from efficient360.errors import RunError
from efficient360.reports.comparison import Verdict, compare, interval_p_value, show, untested_reason
from efficient360.reports.report import Report
from efficient360.storage.per_example import write_examples
from efficient360.storage.row_log import RowLog

TOP1 = Metric("top1", ONE, Better.HIGHER, "Right or wrong.", low=0, high=1)
NLL = Metric("nll", NAT, Better.LOWER, "Negative log-likelihood.", low=0)
MACS = Metric("macs", MAC, Better.LOWER, "Multiply-accumulates.", low=0)
ECE = Metric("ece", ONE, Better.LOWER, "Calibration error.", low=0, high=1)
RNG = np.random.default_rng(0)


def run(folder: Path, name: str, right: np.ndarray, nll: np.ndarray, macs: float = 1e9, ece: float = 0.1, data: str = "d") -> Report:
    folder.mkdir()
    scores = folder / "scores"
    scores.mkdir()
    (scores / "columns.json").write_text(json.dumps([["top1", {}], ["nll", {}]]))
    RowLog(scores / "scores.f64", 2, "float64").append(np.stack([right, nll], 1))
    write_examples(folder, [f"x{i}" for i in range(len(right))], {"quality": scores})
    measured = [
        Record("quality", Measurement(TOP1, float(right.mean()), len(right), Interval(0, 1, "wilson"))),
        Record("quality", Measurement(NLL, float(nll.mean()), len(nll), Interval(0, 9, "bootstrap"))),
        Record("macs", Measurement(MACS, macs)),
        Record("quality", Measurement(ECE, ece, len(right), Interval(ece - 0.01, ece + 0.01, "bootstrap"))),
    ]
    return Report("complete", "", "", "", {"name": name, "digest": name}, {"digest": data}, {}, {}, measured, [])


def rows(tmp_path: Path, first: dict, second: dict) -> dict:
    a, b = run(tmp_path / "a", "A", **first), run(tmp_path / "b", "B", **second)
    return {row.metric.name: row for row in compare(a, tmp_path / "a", b, tmp_path / "b").rows}


def test_paired_tests_equal_scipy_called_by_hand(tmp_path: Path) -> None:
    right = (RNG.random(400) < 0.7).astype(float)
    better = np.maximum(right, (RNG.random(400) < 0.2).astype(float))
    nll_a, nll_b = RNG.random(400), RNG.random(400)
    found = rows(tmp_path, {"right": right, "nll": nll_a}, {"right": better, "nll": nll_b})
    gained = int(((right == 0) & (better == 1)).sum())
    p_top1, p_nll = stats.binomtest(0, gained, 0.5).pvalue, stats.ttest_rel(nll_a, nll_b).pvalue
    assert found["top1"].p_value == pytest.approx(2 * p_top1)
    assert found["nll"].p_value == pytest.approx(max(p_nll, 2 * p_top1))
    assert found["top1"].verdict is Verdict.SECOND
    assert found["top1"].difference == pytest.approx(gained / 400)
    assert found["top1"].interval.low <= gained / 400 <= found["top1"].interval.high


def test_equal_runs_tie_in_everything(tmp_path: Path) -> None:
    same = {"right": (RNG.random(50) < 0.5).astype(float), "nll": RNG.random(50)}
    assert {row.verdict for row in rows(tmp_path, same, same).values()} == {Verdict.TIE}


def test_exact_values_and_intervals(tmp_path: Path) -> None:
    same = {"right": np.ones(10), "nll": np.ones(10)}
    found = rows(tmp_path, {**same, "macs": 2e9, "ece": 0.1}, {**same, "macs": 1e9, "ece": 0.2})
    assert (found["macs"].verdict, found["macs"].basis) == (Verdict.SECOND, "exact values")
    assert (found["ece"].verdict, found["ece"].basis) == (Verdict.FIRST, "intervals of the two values")
    assert found["ece"].p_value == pytest.approx(2 * stats.norm.sf(0.1 / (0.01 * np.sqrt(2) / stats.norm.ppf(0.975))))


def test_fewer_than_ten_examples_are_not_tested(tmp_path: Path) -> None:
    same = {"right": np.ones(9), "nll": np.ones(9)}
    found = rows(tmp_path, {**same, "ece": 0.1}, {**same, "ece": 0.2})
    assert (found["ece"].verdict, found["ece"].basis, found["ece"].p_value) == (Verdict.NOT_TESTED, "only 9 examples or repeats", None)


def measurement(value: float, n: int, interval: Interval | None, repeatable: bool = False) -> Measurement:
    return Measurement(ECE, value, n, interval, repeatable=repeatable)


@pytest.mark.parametrize(
    ("n", "interval", "reason"),
    [
        (1, None, "measured once"),
        (30, None, "no interval"),
        (3, Interval(0.4, 0.6, "range", None), "range of 3, no confidence interval"),
        (16, Interval(0.4, 0.6, "lanczos-residual", None), "lanczos-residual, no confidence interval"),
        (64, Interval(0.4, 0.6, "bootstrap", conditional_on="one shuffle of the weights"), "interval holds fixed: one shuffle of the weights"),
        (4, Interval(0.4, 0.6, "student-t"), "only 4 examples or repeats"),
        (2, Interval(0.4, 0.6, "student-t over seeds"), "only 2 examples or repeats"),
        (3, Interval(0.4, 0.6, "student-t over seeds"), ""),
        (10, Interval(0.4, 0.6, "bootstrap"), ""),
    ],
)
def test_what_cannot_decide_between_two_models(n: int, interval: Interval | None, reason: str) -> None:
    low, high = measurement(0.5, n, interval), measurement(0.9, n, None if interval is None else dataclasses.replace(interval, low=0.8, high=1.0))
    assert untested_reason(low) == reason
    assert (interval_p_value(low, high) is None) == bool(reason)


def test_the_longer_side_of_a_skewed_interval_counts() -> None:
    first = measurement(0.954, 100, Interval(0.926, 0.972, "bootstrap-t"))
    second = measurement(0.994, 100, Interval(0.987, 0.999, "bootstrap-t"))
    error = np.hypot(0.028, 0.007) / stats.norm.ppf(0.975)
    assert interval_p_value(first, second) == interval_p_value(second, first) == pytest.approx(2 * stats.norm.sf(0.04 / error))


def test_two_points_without_width_are_not_tested() -> None:
    first, second = (measurement(value, 50, Interval(value, value, "bootstrap")) for value in (0.1, 0.2))
    assert interval_p_value(first, second) is None


def test_a_model_wins_against_itself_no_more_often_than_significance_allows() -> None:
    """Two hundred pairs of runs of twenty metrics each, every interval a true 95 % one."""
    rng, winners = np.random.default_rng(0), 0
    for _ in range(200):
        values = rng.normal(0.5, 0.01, (2, 20))
        p_values = [interval_p_value(*(measurement(v, 100, Interval(v - 0.0196, v + 0.0196, "wilson")) for v in pair)) for pair in values.T]
        winners += min(holm([p for p in p_values if p is not None])) < 0.05
    assert winners <= 20  # 10 expected; more than 20 in one case of a thousand


def test_noise_is_called_a_tie(tmp_path: Path) -> None:
    verdicts = []
    for i in range(20):
        base = RNG.random(300)
        (tmp_path / str(i)).mkdir()
        found = rows(
            tmp_path / str(i),
            {"right": (base < 0.8).astype(float), "nll": RNG.random(300)},
            {"right": (RNG.random(300) < 0.8).astype(float), "nll": RNG.random(300)},
        )
        verdicts += [found["top1"].verdict, found["nll"].verdict]
    assert sum(v is not Verdict.TIE for v in verdicts) <= 4  # 5 % false alarms a family of two


def test_other_data_are_not_paired(tmp_path: Path) -> None:
    same = {"right": np.ones(10), "nll": np.ones(10)}
    found = rows(tmp_path, same, {**same, "data": "other"})
    assert found["top1"].interval is None
    assert "different data" in found["top1"].basis


def test_runs_that_share_nothing_are_refused(tmp_path: Path) -> None:
    a = run(tmp_path / "a", "A", np.ones(3), np.ones(3))
    with pytest.raises(RunError) as error:
        compare(a, tmp_path / "a", dataclasses.replace(a, records=[]), tmp_path / "a")
    assert error.value.code == "nothing-shared"


def test_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = run(tmp_path / "a", "first [bold]model", np.ones(60), np.ones(60), macs=2e9)
    b = run(tmp_path / "b", "second", np.r_[np.ones(30), np.zeros(30)], np.ones(60))
    show(compare(a, tmp_path / "a", b, tmp_path / "b"))
    said = capsys.readouterr().out
    assert "A  first [bold]model" in said
    assert "A is better" in said
    assert "tie" in said
    assert "p < 0.001" in said
    assert "−50.0 pt" in said
    assert "60 examples" in said
