"""Whole comparisons of made-up runs: what is set against what, families of tests, the verdict per axis."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from compared_runs import AUC, BYTES, CORRUPTED, ECE, LATENCY, MACS, NLL, TOP1, full, made, share
from efficient360.core.measurement import Interval, Measurement
from efficient360.core.outcome import Record
from efficient360.core.statistics import holm
from efficient360.errors import RunError
from efficient360.reports.comparing.evidence import Kind
from efficient360.reports.comparing.run import Run
from efficient360.reports.comparing.verdicts import Comparison, MetricComparison, Verdict
from efficient360.reports.comparison import compare, compare_runs

RNG = np.random.default_rng(0)
RIGHT = (RNG.random(400) < 0.7).astype(float)
BETTER = np.maximum(RIGHT, (RNG.random(400) < 0.2).astype(float))


def row_of(comparison: Comparison, metric: str, runs: tuple[int, int] = (0, 1), **conditions: object) -> MetricComparison:
    (row,) = (r for r in comparison.rows if r.metric.name == metric and r.runs == runs and r.conditions.items() >= conditions.items() and not _twice(r))
    return row


def _twice(row: MetricComparison) -> bool:
    return row.metric.name == "macs" and row.axis == "memory"


def pair_of(right: np.ndarray, nll: np.ndarray, name: str = "A") -> Run:
    columns = {("quality", "top1", "{}"): right, ("quality", "nll", "{}"): nll}
    return made(name, [share(TOP1, right, "quality"), share(NLL, nll, "quality")], columns)


def test_paired_tests_equal_scipy_called_by_hand() -> None:
    nll_a, nll_b = RNG.random(400), RNG.random(400)
    found = compare_runs([pair_of(RIGHT, nll_a), pair_of(BETTER, nll_b, "B")])
    gained = int(((RIGHT == 0) & (BETTER == 1)).sum())
    p_values = [stats.binomtest(0, gained, 0.5).pvalue, stats.ttest_rel(nll_a, nll_b).pvalue]
    top1, nll = row_of(found, "top1"), row_of(found, "nll")
    assert [top1.raw_p_value, nll.raw_p_value] == pytest.approx(p_values)
    assert [top1.p_value, nll.p_value] == pytest.approx(list(stats.false_discovery_control(p_values)))
    assert (top1.verdict, top1.kind, top1.pairs) == (Verdict.SECOND, Kind.PAIRED, 400)
    assert top1.difference == pytest.approx(gained / 400)
    assert top1.interval is not None
    assert top1.interval.low <= gained / 400 <= top1.interval.high


def test_summary_metrics_are_a_family_of_their_own_over_all_axes_and_pairs() -> None:
    runs = [full("A", RIGHT), full("B", BETTER), full("C", RIGHT[::-1].copy())]
    found = compare_runs(runs)
    summary = [row for row in found.rows if row.summary and row.raw_p_value is not None]
    assert [row.p_value for row in summary] == pytest.approx(holm([row.raw_p_value for row in summary if row.raw_p_value is not None]))
    other = [row for row in found.rows if not row.summary and row.raw_p_value is not None]
    assert {row.metric.name for row in other} == {"corruption_accuracy"}
    assert [row.p_value for row in other] == pytest.approx(list(stats.false_discovery_control([row.raw_p_value or 0.0 for row in other])))
    assert len(found.pairs) == 3
    assert {row.runs for row in found.rows} == {(0, 1), (0, 2), (1, 2)}


def test_the_conditions_of_a_metric_are_adjusted_by_holm_among_themselves_too() -> None:
    def corrupted(loss: float) -> Run:
        rng = np.random.default_rng(1)
        columns = {
            ("corruption", "correct", f'{{"corruption": "c{i}", "severity": 1}}'): (rng.random(100) > (loss if i else 0.3)).astype(float) for i in range(15)
        }
        records = [share(CORRUPTED, v, "corruption", corruption=f"c{i}", over="1 severity") for i, v in enumerate(columns.values())]
        return made("A", records, columns)

    rows = compare_runs([corrupted(0.1), corrupted(0.2)]).rows
    raw = [row.raw_p_value or 0.0 for row in rows]
    assert [row.p_value for row in rows] == pytest.approx(list(np.maximum(holm(raw), stats.false_discovery_control(raw))))
    assert (np.array(holm(raw)) > stats.false_discovery_control(raw)).any()


def test_an_axis_is_decided_by_its_summary_metrics() -> None:
    found = compare_runs([full("A", RIGHT, macs=1e9, bytes=2e7), full("B", BETTER, macs=2e9, bytes=1e7)])
    verdicts = {axis.name: axis.verdicts[0, 1] for axis in found.axes}
    assert verdicts == {
        "performance": Verdict.SECOND,
        "computation": Verdict.FIRST,
        "memory": Verdict.MIXED,  # fewer bytes, more MACs
        "latency": Verdict.UNDECIDED,
        "robustness": Verdict.SECOND,
        "privacy": Verdict.NOT_TESTED,  # void
    }
    leading = {axis.name: [row.metric.name for row in axis.leading((0, 1))] for axis in found.axes}
    assert leading["memory"] == ["macs", "weight_bytes"]
    assert leading["robustness"] == ["corruption_accuracy"]


def test_three_runs_know_who_beats_whom() -> None:
    found = compare_runs([full("A", RIGHT, macs=1e9), full("B", BETTER, macs=2e9), full("C", RIGHT, macs=3e9)])
    axes = {axis.name: axis for axis in found.axes}
    assert [axes["performance"].beaten(run) for run in range(3)] == [[1], [], [1]]
    assert [axes["computation"].beaten(run) for run in range(3)] == [[], [0], [0, 1]]
    assert axes["performance"].verdicts[0, 2] is Verdict.UNDECIDED  # the same values: tested, and no difference


def test_equal_runs_are_better_nowhere_and_tie_nowhere() -> None:
    found = compare_runs([full("A", RIGHT), full("A", RIGHT)])
    assert {row.verdict for row in found.rows} <= {Verdict.EQUAL, Verdict.UNDECIDED, Verdict.NOT_TESTED}
    assert "tie" not in {verdict.value for verdict in Verdict}


def test_exact_values_within_one_percent_are_equal() -> None:
    assert row_of(compare_runs([full("A", RIGHT, bytes=1e7), full("B", RIGHT, bytes=1.005e7)]), "weight_bytes").verdict is Verdict.EQUAL
    assert row_of(compare_runs([full("A", RIGHT, bytes=1e7), full("B", RIGHT, bytes=1.02e7)]), "weight_bytes").verdict is Verdict.FIRST


def test_intervals_that_overlap_are_no_test_and_those_far_apart_decide() -> None:
    def ece(value: float) -> Run:
        return made("A", [Record("calibration", Measurement(ECE, value, 100, Interval(value - 0.01, value + 0.01, "bootstrap")))])

    near, far = (row_of(compare_runs([ece(0.1), ece(other)]), "ece") for other in (0.105, 0.3))
    assert (near.verdict, near.interval) == (Verdict.NOT_TESTED, None)
    assert near.basis == "no per-example values to pair, and the intervals of the two overlap"
    assert (far.verdict, far.kind) == (Verdict.FIRST, Kind.INTERVALS)
    assert far.interval is not None


def test_summary_metrics_are_matched_by_their_anchor_whatever_else_they_name() -> None:
    fast = [Record("latency", Measurement(LATENCY, 0.01, 300, Interval(0.009, 0.011, "student-t over 3 processes"), {"runtime": name})) for name in ("a", "b")]
    row = row_of(compare_runs([made("A", [fast[0], share(TOP1, RIGHT)]), made("B", [fast[1], share(TOP1, RIGHT)])]), "best_latency")
    assert row.summary
    assert row.verdict is Verdict.UNDECIDED
    assert row.basis.endswith("; a against b")


def test_void_values_decide_nothing() -> None:
    row = row_of(compare_runs([full("A", RIGHT), full("B", RIGHT)]), "strongest_attack_auc")
    assert (row.verdict, row.basis, row.p_value, row.difference) == (Verdict.NOT_TESTED, "void: pixels alone tell members", None, None)
    assert AUC.name == "strongest_attack_auc"


def test_other_settings_are_said_and_not_compared() -> None:
    def attacked(steps: int) -> Run:
        record = share(CORRUPTED, RIGHT, "corruption", over="2 corruptions")
        return made("A", [dataclasses.replace(record, settings={"steps": steps}), share(TOP1, RIGHT)])

    found = compare_runs([attacked(20), attacked(100)])
    assert row_of(found, "corruption_accuracy").verdict is Verdict.NOT_COMPARABLE
    assert found.unlike == ["corruption: steps 20 against 100 (1 value)"]
    assert [axis.verdicts[0, 1] for axis in found.axes if axis.name == "robustness"] == [Verdict.NOT_COMPARABLE]


def test_other_data_are_not_compared_but_costs_are() -> None:
    found = compare_runs([full("A", RIGHT), full("B", BETTER, macs=2e9, data="other")])
    assert not found.same_data
    assert row_of(found, "top1").verdict is Verdict.NOT_COMPARABLE
    assert "different data" in row_of(found, "top1").basis
    assert row_of(found, "macs").verdict is Verdict.FIRST


def test_what_one_run_lacks_is_said() -> None:
    found = compare_runs([full("A", RIGHT), made("B", [share(TOP1, RIGHT)], {("accuracy", "top1", "{}"): RIGHT})])
    assert row_of(found, "weight_bytes").basis == "measured in A, not in B"
    assert "macs: measured in A, not in B (2 values)" in found.unlike
    three = compare_runs([made("B", [share(TOP1, RIGHT)]), full("A", RIGHT), made("C", [share(TOP1, RIGHT)])])
    assert "parameters: measured in B, not in A (1 value)" in three.unlike
    assert "parameters: measured in B, not in C (1 value)" in three.unlike
    assert BYTES.name in {row.metric.name for row in found.rows}


def test_runs_that_share_nothing_are_refused() -> None:
    with pytest.raises(RunError) as error:
        compare_runs([made("A", [share(TOP1, RIGHT)]), made("B", [Record("macs", Measurement(MACS, 1.0))])])
    assert error.value.code == "nothing-shared"


def test_folders_without_examples_are_compared_without_pairs(tmp_path: Path) -> None:
    a, b = full("A", RIGHT).report, full("B", BETTER).report
    found = compare(a, tmp_path, b, tmp_path)
    assert found.paired == 0
    assert row_of(found, "top1").verdict is Verdict.NOT_TESTED


def test_noise_is_called_better_no_more_often_than_significance_allows() -> None:
    decided = 0
    for _ in range(40):
        runs = [pair_of((RNG.random(200) < 0.8).astype(float), RNG.random(200)) for _ in range(2)]
        decided += any(row.verdict in (Verdict.FIRST, Verdict.SECOND) for row in compare_runs(runs).rows)
    assert decided <= 7  # 2 expected; more than 7 in one case of a thousand


def test_a_frame_has_a_row_a_metric_and_pair() -> None:
    found = compare_runs([full("A", RIGHT), full("B", BETTER)])
    frame = found.to_frame()
    assert len(frame) == len(found.rows)
    assert set(frame.axis[frame.summary]) == {axis.name for axis in found.axes}
    assert frame.set_index("metric").verdict["top1"] == "second is better"
    assert repr(found).startswith("<Comparison of A and B: first better on ")
