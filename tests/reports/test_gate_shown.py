import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.core.findings import Finding, disturbances_table
from efficient360.core.measurement import Interval, Measurement
from efficient360.core.outcome import Record
from efficient360.core.statistics import wilson
from efficient360.reports.comparing.run import Run
from efficient360.reports.gate import words
from efficient360.reports.gate.plain import to_json
from efficient360.reports.gate.results import State
from gate_runs import LATENCY, MACS, ROBUST, TOP1, checked, exact, measured, right, run

METHOD = "student-t over 3 processes, 5% between runs"
NOT_SHOWN = "the value keeps it, its interval does not (not shown)"


def latency(value: float, times: float, *seen: str) -> Run:
    """A run with one latency whose interval reaches from value / times to value * times, and what disturbed it."""
    extra = (disturbances_table([("onnxruntime", Finding("preempted", message, "stop it")) for message in seen]),) if seen else ()
    told = Measurement(LATENCY, value, 60, Interval(value / times, value * times, METHOD), {"runtime": "onnxruntime"}, extra=extra)
    return run([Record("latency", told, measured_with={"data": "d"})])


def test_a_budget_that_the_interval_does_not_keep_says_so() -> None:
    (open_,) = checked([], latency(0.00166, 19.4), require=["latency_p50 <= 20ms"]).results
    assert (open_.state, open_.fails) == (State.PASSED, False)
    assert words.sentence(open_).endswith(f"interval of the value; {NOT_SHOWN}")
    (shown,) = checked([], latency(0.00166, 1.1), require=["latency_p50 <= 20ms"]).results
    assert "shown" not in words.sentence(shown)


def test_proven_fails_a_requirement_that_the_interval_does_not_keep() -> None:
    result = checked([], latency(0.00166, 19.4), require=["latency_p50 <= 20ms"], proven=True)
    assert [(r.state, r.fails) for r in result.results] == [(State.FAILED, True)]
    assert words.evidence(result.results[0]) == f"interval of the value; {NOT_SHOWN}"  # no p-value of a rule that the value keeps
    assert to_json(result)["proven"] is True
    assert "Proven: a requirement fails, too, where its 95 % interval does not keep it." in words.notes(result)
    assert checked([], latency(0.00166, 1.1), require=["latency_p50 <= 20ms"], proven=True).passed


@pytest.mark.parametrize(
    ("record", "rule", "passes"),
    [
        (exact(MACS, 1e9), "macs <= 1GMAC", True),
        (Record("accuracy", Measurement(TOP1, 0.95, repeatable=False)), "top1 >= 90%", False),  # measured once
        (measured("accuracy", TOP1, 0.95, 100, wilson(95, 100)), "top1 >= 94%", False),
        (measured("accuracy", TOP1, 0.93, 100, wilson(93, 100)), "top1 >= 94%", False),  # broken, within chance
        (measured("accuracy", TOP1, 0.95, 100, wilson(95, 100)), "top1 >= 80%", True),
    ],
)
def test_proven_wants_an_interval_or_an_exact_value(record: Record, rule: str, passes: bool) -> None:
    assert checked([], run([record]), require=[rule], proven=True).passed is passes


def test_proven_is_about_requirements_alone() -> None:
    assert checked(["latency_p50 > +10%"], latency(1.0, 2.0), latency(1.0, 2.0), proven=True).passed


def test_a_rule_without_power_says_the_least_change_that_it_finds() -> None:
    (result,) = checked(["latency_p50 > +10%"], latency(524e-6, 1.9), latency(592e-6, 1.9)).results
    assert result.state is State.PASSED
    least = re.search(r"finds no change smaller than about \+([\d.]+) %", words.sentence(result))
    assert least is not None
    found = 1 + float(least[1]) / 100
    below, above = (checked(["latency_p50 > +10%"], latency(592e-6 * found * k, 1.9), latency(592e-6, 1.9)).results[0].state for k in (0.98, 1.02))
    assert (below, above) == (State.UNDECIDED, State.FAILED)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 12), st.floats(0.005, 0.2))
def test_a_change_of_a_share_says_it_where_its_interval_crosses_the_limit(lost: int, alpha: float) -> None:
    base, ours = run([], {("accuracy", "top1"): right(200, range(12))}), run([], {("accuracy", "top1"): right(200, range(12 + lost))})
    (result,) = checked(["top1 < -4pt"], ours, base, alpha=alpha).results
    assert result.interval is not None
    crosses = result.state is State.PASSED and result.interval.low < -0.04
    assert ("finds no change smaller than about −" in result.reason) == crosses


def test_strict_names_no_least_change_as_the_value_decides() -> None:
    (result,) = checked(["latency_p50 > +10%"], latency(1.0, 2.0), latency(1.0, 2.0), strict=True).results
    assert result.reason.endswith("the change keeps it, its interval does not (not shown)")


def test_what_disturbed_the_timing_is_told_of_both_runs_where_a_rule_is_about_it() -> None:
    ours, base = latency(1.0, 1.1, "it was preempted 642 times a second", "it was preempted 3 times a second"), latency(1.0, 1.1, "the CPU throttled 2 times")
    result = checked(["latency_p50 > +10%"], ours, base)
    assert [(f["code"], f["message"]) for f in to_json(result)["findings"]] == [
        ("disturbed-timing", "the timing of the run was disturbed: it was preempted 642 times a second"),
        ("disturbed-timing", "the timing of the baseline was disturbed: the CPU throttled 2 times"),
    ]
    robust = measured("adversarial", ROBUST, 0.5, 64, wilson(32, 64))
    both = dataclasses.replace(ours, report=dataclasses.replace(ours.report, records=[*ours.report.records, robust]))
    assert checked([], both, require=["robust_accuracy >= 20%"]).findings == []
