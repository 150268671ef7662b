"""Alerts: each thing that a reader must know is told once, the severest first, and notes apart."""

import dataclasses

import pytest

import synthetic
from efficient360.core.figures import Table
from efficient360.core.findings import Finding, disturbances_table, findings_of, findings_table
from efficient360.core.measurement import Failure, Measurement, Status
from efficient360.core.outcome import Record
from efficient360.reports.alerts import Kind, Severity, alerts, notes, warnings
from efficient360.reports.report import Report, axes_of


def report(*records: Record, findings: tuple[Finding, ...] = (), state: str = "complete") -> Report:
    base = synthetic.report(state=state)
    return dataclasses.replace(base, records=list(records), axes=axes_of(synthetic.dimensions(), list(records)), findings=findings)


def attack(void: str = "", *findings: Finding, value: float = 0.6) -> Record:
    return Record("membership", Measurement(synthetic.ATTACK, value, 90, extra=(findings_table(findings),) if findings else (), void=void))


def test_void_values_are_one_alert_with_the_finding_s_advice() -> None:
    finding = Finding("told-by-pixels", "a blind baseline separates them", "use random splits")
    (alert,) = alerts(report(attack("blind", finding), attack("blind", value=0.7)))
    assert (alert.severity, alert.kind, alert.axis) == (Severity.CRITICAL, Kind.VOID, "privacy")
    assert alert.message == "Privacy: 2 values are void: blind"
    assert alert.advice == "use random splits"


def test_a_single_void_value_is_named() -> None:
    assert alerts(report(attack("blind")))[0].message == "Privacy: Membership inference AUC is void: blind"


def test_failures_of_one_reason_are_one_alert_and_what_does_not_apply_is_one_only_where_it_costs_a_score() -> None:
    failures = [Record("accuracy", Failure(Status.FAILED, "crashed", "it died", "again", m)) for m in (synthetic.TOP1, synthetic.TOP5)]
    beside = Record("calibration", Failure(Status.UNSUPPORTED, "no-groups", "there are no groups", "", synthetic.ECE))
    cost = Record("membership", Failure(Status.UNSUPPORTED, "no-split", "there is no training split", "give one", synthetic.ATTACK))
    found = alerts(report(*failures, beside, cost))
    assert [(a.code, a.kind, a.axis) for a in found] == [("crashed", Kind.FAILED, "performance"), ("no-split", Kind.MISSING, "privacy")]
    assert found[0].message == "Top-1 accuracy; Top-5 accuracy failed: it died"
    assert found[1].message == "Privacy has no score, Membership inference AUC is missing: there is no training split"


def test_an_unfinished_run_names_what_is_left() -> None:
    (alert,) = alerts(report(Record("accuracy", Measurement(synthetic.TOP1, 0.9)), state="incomplete"))
    assert alert.kind is Kind.INCOMPLETE
    assert alert.message == "this run is incomplete: no result yet for calibration, parameters"


@pytest.mark.parametrize(
    ("code", "severity", "kind"),
    [
        ("other-weights-better", Severity.CRITICAL, Kind.CHECK),
        ("preprocessing-assumed", Severity.WARNING, Kind.CHECK),
        ("a-plugin's-own", Severity.WARNING, Kind.CHECK),
        ("dataset-recognised", Severity.NOTE, Kind.NOTE),
    ],
)
def test_only_what_may_make_a_number_wrong_is_to_be_checked_first(code: str, severity: Severity, kind: Kind) -> None:
    found = alerts(report(findings=(Finding(code, "it is so", "do"),)))
    assert [(a.severity, a.kind, a.axis) for a in found] == [(severity, kind, "")]
    assert (notes(found) == found) == (severity is Severity.NOTE)
    assert [*warnings(found), *notes(found)] == found


def test_each_kind_of_disturbance_is_told_once() -> None:
    disturbed = [
        ("torch", Finding("foreign-load", "other processes used 1.20 of a CPU core", "stop them")),
        ("onnxruntime", Finding("foreign-load", "other processes used 0.43 of a CPU core", "stop them")),
    ]
    record = Record("latency", Measurement(synthetic.LATENCY, 0.01, extra=(disturbances_table(disturbed),)))
    (alert,) = alerts(report(record))
    assert (alert.kind, alert.axis, alert.advice) == (Kind.NOISY, "latency", "stop them")
    assert alert.message == "the timing was disturbed: other processes used 1.20 of a CPU core"


def test_the_severest_come_first_and_what_a_score_rests_on_before_the_rest() -> None:
    spectrum = Record("feature_spectrum", Measurement(synthetic.RANK, 3.0, extra=(findings_table([Finding("uncertain-trace", "u", "")]),)))
    alphas = dataclasses.replace(attack("", Finding("lower-bound", "l", ""), Finding("known-classes", "k", "")))
    found = alerts(report(spectrum, alphas, attack("blind", value=0.9)))
    assert [a.code for a in found] == ["void", "lower-bound", "uncertain-trace", "known-classes"]
    assert [a.scored for a in found] == [True, True, False, True]


def test_a_table_gives_back_its_findings_and_any_other_none() -> None:
    findings = (Finding("a", "b", "c"), Finding("d", "e", ""))
    assert findings_of(findings_table(findings)) == findings
    assert findings_of(findings_table(())) == ()
    assert findings_of(Table("Warnings", ("what", "which"), (("a", "b"),))) == ()
