import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.core.findings import Finding
from efficient360.core.measurement import Interval, Measurement
from efficient360.core.outcome import Record
from efficient360.core.statistics import wilson
from efficient360.errors import SettingsError
from efficient360.reports.gate.markdown import markdown
from efficient360.reports.gate.plain import to_json
from efficient360.reports.gate.results import State
from gate_runs import AUC, COMPRESSION, LATENCY, MACS, ROBUST, TOP1, TRANSFER, checked, exact, failed, measured, right, run, void

RNG = np.random.default_rng(0)
WRONG = list(range(20))


def accuracy(wrong: list[int], n: int = 500) -> dict[tuple[str, str], np.ndarray]:
    return {("accuracy", "top1"): right(n, wrong)}


def shares(value: float, n: int = 100, epsilon: str = "4/255") -> Record:
    return measured("adversarial", ROBUST, value, n, wilson(round(value * n), n), epsilon=epsilon, attack="worst case")


def states(fail_if: list[str], ours: object, theirs: object = None, **others: object) -> list[State]:
    return [r.state for r in checked(fail_if, ours, theirs, **others).results]  # type: ignore[arg-type]


def test_a_drop_beyond_chance_fails_and_one_within_is_undecided() -> None:
    base = run([], accuracy(WRONG))
    few, many = run([], accuracy([*WRONG, 100])), run([], accuracy([*WRONG, *range(100, 130)]))
    assert states(["top1 < -0"], few, base) == [State.UNDECIDED]
    assert checked(["top1 < -0"], few, base).passed
    assert states(["top1 < -0"], many, base) == [State.FAILED]
    assert not checked(["top1 < -0"], many, base).passed
    assert states(["top1 < -10pt"], many, base) == [State.PASSED]
    assert states(["top1 < -0"], base, base) == [State.PASSED]


def test_strict_lets_the_value_decide() -> None:
    base, worse = run([], accuracy(WRONG)), run([], accuracy([*WRONG, 100]))
    result = checked(["top1 < -0"], worse, base, strict=True)
    assert [r.state for r in result.results] == [State.FAILED]
    assert not result.passed
    assert checked(["top1 < -0"], base, base, strict=True).passed


def test_exact_values_fail_at_once() -> None:
    assert states(["macs > +0"], run([exact(MACS, 2e9)]), run([exact(MACS, 1e9)])) == [State.FAILED]
    assert states(["macs > +0"], run([exact(MACS, 1e9)]), run([exact(MACS, 1e9)])) == [State.PASSED]
    assert states(["macs >= +0"], run([exact(MACS, 1e9)]), run([exact(MACS, 1e9)])) == [State.FAILED]
    assert states([], run([exact(MACS, 2e9)]), require=["macs <= 1GMAC"]) == [State.FAILED]
    assert states(["macs > +50%"], run([exact(MACS, 1.5e9)]), run([exact(MACS, 1e9)])) == [State.PASSED]


def test_p_values_are_adjusted_over_all_tests_of_the_check() -> None:
    base, worse = run([], accuracy(WRONG)), run([], accuracy([*WRONG, *range(100, 107)]))  # 7 lost, none gained: p = 1/128
    alone = checked(["top1 < -0"], worse, base).results[0]
    assert alone.p_value == pytest.approx(1 / 128)
    assert alone.state is State.FAILED
    four = checked(["top1 < -0", *["top1 < -50pt"] * 3], worse, base)
    assert four.tests == 4
    assert four.results[0].adjusted == pytest.approx(4 / 128)
    assert four.results[0].state is State.UNDECIDED


def test_a_missing_metric_fails_what_requires_it_and_leaves_a_change_open() -> None:
    base = run([shares(0.5)])
    ours = run([failed("adversarial", None, "it needs gradients")])
    result = checked(["robust_accuracy < -0"], ours, base, require=["robust_accuracy >= 20%"])
    assert [(r.state, r.fails, r.reason) for r in result.results] == [
        (State.MISSING, False, "it needs gradients"),
        (State.MISSING, True, "it needs gradients"),
    ]
    assert not checked(["robust_accuracy < -0"], ours, base, strict=True).passed


def test_a_void_value_is_missing_whatever_it_is() -> None:
    ours = run([void("membership", AUC, 0.5, "a blind baseline does as well")])
    result = checked([], ours, require=["attack_auc <= 60%", "axes.privacy >= 0.5"])
    assert [(r.state, r.fails) for r in result.results] == [(State.MISSING, True)] * 2
    assert result.results[0].reason == "void: a blind baseline does as well"
    assert result.results[0].value is None


def test_a_baseline_without_the_value_leaves_the_change_open() -> None:
    result = checked(["robust_accuracy < -0"], run([shares(0.5)]), run([failed("adversarial", ROBUST, "out of time")]))
    assert [(r.state, r.fails, r.reason) for r in result.results] == [(State.MISSING, False, "baseline: out of time")]


def test_what_was_measured_otherwise_is_not_compared() -> None:
    ours, theirs = shares(0.1), shares(0.5)
    other = dataclasses.replace(theirs, measured_with={"data": "other", "examples": 100})
    (result,) = checked(["robust_accuracy < -0"], run([ours]), run([other])).results
    assert (result.state, result.fails, result.reason) == (State.UNDECIDED, False, "not comparable: data other against d")
    assert not checked(["robust_accuracy < -0"], run([ours]), run([other]), strict=True).passed


def test_old_records_of_different_data_are_not_compared() -> None:
    ours, theirs = (dataclasses.replace(shares(v), measured_with={}) for v in (0.1, 0.5))
    base = run([theirs])
    other = dataclasses.replace(base, report=dataclasses.replace(base.report, dataset={"digest": "e"}))
    assert states(["robust_accuracy < -0"], run([ours]), base) == [State.FAILED]
    assert states(["robust_accuracy < -0"], run([ours]), other) == [State.UNDECIDED]


def test_of_several_values_the_one_that_an_axis_scores_is_taken() -> None:
    ours = run([shares(0.9, epsilon="1/255"), shares(0.1, epsilon="4/255"), shares(0.05, epsilon="8/255")])
    (result,) = checked([], ours, require=["robust_accuracy >= 20%"]).results
    assert dict(result.conditions)["epsilon"] == "4/255"
    assert result.state is State.FAILED
    assert states([], ours, require=["robust_accuracy[epsilon=1/255] >= 20%"]) == [State.PASSED]
    assert states([], ours, require=["robust_accuracy[*] >= 20%"]) == [State.PASSED, State.FAILED, State.FAILED]


def test_a_metric_that_no_axis_scores_is_checked_at_all_its_values() -> None:
    interval = Interval(0.009, 0.011, "bootstrap-t")
    records = [measured("latency", LATENCY, value, 100, interval, runtime=name) for name, value in (("torch", 0.01), ("tvm", 0.0105))]
    result = checked([], run(records), require=["latency_p50 <= 20ms"])
    assert [dict(r.conditions) for r in result.results] == [{"runtime": "torch"}, {"runtime": "tvm"}]


def test_values_that_an_axis_scores_are_paired_under_other_conditions() -> None:
    ours, theirs = measured("membership", AUC, 0.9, 100, wilson(90, 100), attack="lira"), measured("membership", AUC, 0.6, 100, wilson(60, 100), attack="loss")
    (result,) = checked(["attack_auc > +1pt"], run([ours]), run([theirs])).results
    assert (result.value.value, result.baseline.value) == (0.9, 0.6)
    assert result.reason == "intervals of the two values; baseline: attack = loss"


def test_axes_are_checked_by_the_intervals_of_their_summary_metrics() -> None:
    base, worse = run([], accuracy(WRONG, 1000)), run([], accuracy(list(range(400)), 1000))
    (result,) = checked(["axes.performance < -0.05"], worse, base).results
    assert result.state is State.FAILED
    assert result.change == pytest.approx(-0.38)
    assert states([], base, require=["axes.performance >= 0.9"]) == [State.PASSED]


@pytest.mark.parametrize(
    ("rule", "code", "hint"),
    [
        ("tpo1 < 90%", "unknown-metric", "top1"),
        ("accuracy < 90%", "unknown-metric", "it measures top1"),
        ("robustness < 0.5", "unknown-metric", "axes.robustness"),
        ("axes.robustnes < 0.5", "unknown-dimension", "robustness"),
        ("calibration.top1 < 90%", "bad-rule", "accuracy"),
        ("robust_accuracy[epsilon=5/255] < 20%", "bad-rule", "4/255"),
        ("robust_accuracy[epsilom=4/255] < 20%", "bad-rule", "did you mean epsilon"),
        ("axes.privacy[a=b] < 0.5", "bad-rule", "one score"),
        ("top1 < -1pt", "no-baseline", "--baseline"),
    ],
)
def test_names_that_nothing_has_are_refused_with_the_nearest(rule: str, code: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        checked([rule], run([shares(0.5)], accuracy(WRONG)))
    assert refused.value.code == code
    assert hint in refused.value.hint


def test_a_metric_that_this_run_did_not_measure_is_missing() -> None:
    assert states([], run([shares(0.5)]), require=["mce <= 50%"]) == [State.MISSING]


@pytest.mark.parametrize("alpha", [0.0, 0.5, float("nan"), -1.0])
def test_alpha_is_a_chance_of_an_error(alpha: float) -> None:
    with pytest.raises(SettingsError) as refused:
        checked([], run([shares(0.5)]), require=["robust_accuracy >= 20%"], alpha=alpha)
    assert refused.value.code == "bad-option"


def test_a_check_without_rules_is_refused() -> None:
    with pytest.raises(SettingsError) as refused:
        checked([], run([]))
    assert refused.value.code == "bad-rule"


def test_a_share_of_a_baseline_of_nothing_is_undecided() -> None:
    ours, theirs = (
        measured("continual", TRANSFER, -0.5, 100, Interval(-0.6, -0.4, "bootstrap-t")),
        measured("continual", TRANSFER, -0.1, 100, Interval(-0.2, 0, "x")),
    )
    assert states(["backward_transfer < -10%rel"], run([ours]), run([theirs])) == [State.UNDECIDED]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 99), max_size=60), st.lists(st.integers(0, 99), max_size=60), st.floats(0.01, 0.2), st.booleans())
def test_what_keeps_a_rule_never_fails_and_what_fails_breaks_it(first: list[int], second: list[int], alpha: float, strict: bool) -> None:
    base, ours = run([], accuracy(first, 100)), run([], accuracy(second, 100))
    for rule, limit in (("top1 < -0", 0.0), ("top1 < -5pt", -0.05)):
        (result,) = checked([rule], ours, base, alpha=alpha, strict=strict).results
        change = (len(set(first)) - len(set(second))) / 100
        broken = change < limit - 1e-9
        assert (result.state is State.PASSED) == (not broken)
        assert not (strict and result.state is State.UNDECIDED)
        if result.state is State.FAILED and not strict:
            assert result.adjusted is not None
            assert result.adjusted < alpha
        looser = checked([rule], ours, base, alpha=min(0.49, 2 * alpha), strict=strict).results[0]
        assert not (result.fails and not looser.fails)


def test_missing_values_are_no_numbers_in_the_data() -> None:
    result = checked([], run([failed("accuracy", TOP1, "no labels")]), require=["top1 >= 90%"])
    assert to_json(result)["results"][0]["value"] is None
    assert isinstance(result.results[0].value, Measurement | None)


def test_a_score_that_is_only_a_lower_bound_is_not_held_against_the_run() -> None:
    told = Record("compression", Measurement(COMPRESSION, 2.0, 100, Interval(1.9, 2.1, "bootstrap-t")), settings={"bits": 8})
    low = checked([], run([told]), require=["axes.approximation >= 0.9"])
    assert [(r.state, r.fails) for r in low.results] == [(State.UNDECIDED, False)]
    assert low.results[0].reason == "lower bound: compression with other bits"
    assert states([], run([told]), require=["axes.approximation >= 0.05"]) == [State.PASSED]


def test_findings_of_the_run_are_told_with_the_result() -> None:
    ours = run([shares(0.5)])
    found = Finding("blank-images", "30 images are blank", "look at them")
    doubted = dataclasses.replace(ours, report=dataclasses.replace(ours.report, findings=(found,)))
    result = checked([], doubted, require=["robust_accuracy >= 20%"])
    assert to_json(result)["findings"][0]["code"] == "blank-images"
    assert "Check first: 30 images are blank → look at them" in markdown(result)
