"""The verdict's sentences held against the outcomes: nothing void, undecided or unmeasured is praised or named."""

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import synthetic
from efficient360.core.findings import Finding, findings_table
from efficient360.core.measurement import ONE, Better, Conditions, Failure, Interval, Measurement, Metric, Status
from efficient360.core.outcome import Record
from efficient360.dimensions.dimension import Anchor, Dimension
from efficient360.reports.alerts import Severity
from efficient360.reports.report import Report, axes_of
from efficient360.reports.verdict import BREAKING, STRONG, WEAK, Verdict, verdict

TOP1 = synthetic.TOP1
NAMES = ("accuracy", "alphas", "betas", "gammas", "deltas")
METRICS = {name: Metric(f"{name}_share", ONE, Better.HIGHER, "", "", 0, 1) for name in NAMES[1:]}
DIMENSIONS = [
    Dimension("accuracy", "Accuracy", "?", 1, (Anchor("accuracy", "top1", 0, 1, "bounds"),)),
    *(Dimension(name, name.title(), "?", i, (Anchor(name, f"{name}_share", 0, 1, "bounds"),)) for i, name in enumerate(NAMES[1:], 2)),
]


def accuracy(value: float = 0.9, n: int = 897) -> Record:
    return Record("accuracy", Measurement(TOP1, value, n, Interval(max(0, value - 0.02), min(1, value + 0.02), "wilson")))


def measured(name: str, value: float, findings: Sequence[Finding] = (), void: str = "") -> Record:
    extra = (findings_table(findings),) if findings else ()
    return Record(name, Measurement(METRICS[name], value, 90, Interval(value, value, "t"), extra=extra, void=void))


def report(*records: Record, findings: Sequence[Finding] = ()) -> Report:
    base = synthetic.report(state="complete")
    return dataclasses.replace(base, records=list(records), axes=axes_of(DIMENSIONS, list(records)), findings=findings)


def said(*records: Record, findings: Sequence[Finding] = ()) -> Verdict:
    return verdict(report(*records, findings=findings))


def test_it_says_what_is_strong_what_is_weak_and_what_breaks_it() -> None:
    metric = Metric("corruption_accuracy", ONE, Better.HIGHER, "", "", 0, 1)
    fog = Record("corruption", Measurement(metric, 0.4, 100, Interval(0.3, 0.5, "t"), {"corruption": "motion_blur", "over": "5 severities"}))
    found = said(accuracy(), measured("alphas", 0.95), measured("betas", 0.3), fog)
    first, second = found.sentences
    assert first == "deit_tiny_digits classifies 90.0 % of 897 images correctly (95 % interval 88.0 – 92.0 %) and is strong in alphas (alphas share 95.0 %)."
    assert second == "It is weakest in betas (betas share 30.0 %); motion blur (40.0 % correct) breaks it."


def test_without_accuracy_it_says_so() -> None:
    assert said(measured("alphas", 0.95)).sentences[0] == "deit_tiny_digits has no accuracy that counts; it is strong in alphas (alphas share 95.0 %)."


def test_an_empty_run_has_a_verdict() -> None:
    assert said().sentences == ["deit_tiny_digits has no accuracy that counts; no other axis is a clear strength."]


def test_where_the_numbers_look_wrong_nothing_is_praised() -> None:
    wrong = Finding("other-class-order-better", "another order would score 99 %", "check")
    found = said(accuracy(), measured("alphas", 1.0), findings=[wrong])
    assert found.strengths == []
    assert found.sentences[0].endswith("but 1 alert below may make its numbers wrong.")


def test_an_assumption_forbids_no_praise() -> None:
    assumed = Finding("preprocessing-assumed", "the defaults are taken", "give it")
    assert [p.axis.dimension.name for p in said(accuracy(), measured("alphas", 1.0), findings=[assumed]).strengths] == ["alphas"]


@pytest.mark.parametrize("code", ["undecided", "lower-bound", "a-plugin's-own"])
def test_what_is_warned_of_is_not_praised(code: str) -> None:
    assert said(accuracy(), measured("alphas", 1.0, [Finding(code, "it is so", "do")])).strengths == []


def test_a_note_forbids_no_praise() -> None:
    assert len(said(accuracy(), measured("alphas", 1.0, [Finding("known-classes", "it is so", "do")])).strengths) == 1


def test_a_small_or_undecided_loss_breaks_nothing() -> None:
    metric = Metric("corruption_accuracy", ONE, Better.HIGHER, "", "", 0, 1)

    def under(value: float, half: float, conditions: Conditions, void: str = "") -> Record:
        return Record("corruption", Measurement(metric, value, 100, Interval(max(0.0, value - half), value + half, "t"), conditions, void=void))

    records = (
        under(0.86, 0.001, {"corruption": "snow"}),
        under(0.7, 0.25, {"corruption": "frost"}),
        under(0.1, 0.01, {"corruption": "fog"}, void="nobody looked"),
        under(0.1, 0.01, {"corruption": "rain", "severity": 5}),
    )
    assert said(accuracy(), *records).breaks == []


def test_an_axis_that_breaks_it_is_no_strength() -> None:
    metric = Metric("capture_accuracy", ONE, Better.HIGHER, "", "", 0, 1)
    dark = Record("alphas", Measurement(metric, 0.4, 100, Interval(0.3, 0.5, "t"), {"capture": "low_light"}))
    found = said(accuracy(), measured("alphas", 1.0), measured("betas", 0.9), dark)
    assert [entry.axis for entry in found.breaks] == ["alphas"]
    assert [point.axis.dimension.name for point in found.strengths] == ["betas"]


def test_of_attacks_only_the_worst_case_counts() -> None:
    metric = Metric("robust_accuracy", ONE, Better.HIGHER, "", "", 0, 1)
    attacks = [
        Record("adversarial", Measurement(metric, 0.1, 64, Interval(0.05, 0.2, "wilson"), {"norm": "linf", "epsilon": "4/255", "attack": attack}))
        for attack in ("worst case", "apgd-ce")
    ]
    assert [entry.what for entry in said(accuracy(), *attacks).breaks] == ["adversarial attacks within L∞ ε = 4/255"]


def test_the_worst_conditions_are_named_whatever_their_kind() -> None:
    corrupted, robust = (Metric(name, ONE, Better.HIGHER, "", "", 0, 1) for name in ("corruption_accuracy", "robust_accuracy"))
    records = [
        Record("corruption", Measurement(corrupted, value, 100, Interval(value - 0.05, value + 0.05, "t"), {"corruption": name}))
        for name, value in {"fog": 0.3, "frost": 0.2, "snow": 0.1}.items()
    ]
    attack = Measurement(robust, 0.5, 64, Interval(0.4, 0.6, "wilson"), {"norm": "linf", "epsilon": "4/255", "attack": "worst case"})
    found = said(accuracy(), measured("alphas", 0.7), *records, Record("adversarial", attack))
    assert found.sentences[1].endswith("snow (10.0 % correct), frost (20.0 % correct) and fog (30.0 % correct) break it.")
    assert str(found) == found.text


States = st.sampled_from(["measured", "void", "failed", "absent", "undecided", "noted"])


def outcome(name: str, state: str, value: float) -> list[Record]:
    match state:
        case "absent":
            return []
        case "failed":
            return [Record(name, Failure(Status.FAILED, "crashed", "it crashed", "", METRICS[name]))]
        case "void":
            return [measured(name, value, void="it means nothing")]
        case "undecided":
            return [measured(name, value, [Finding("undecided", "too few images", "take more")])]
        case "noted":
            return [measured(name, value, [Finding("known-classes", "some were left out", "")])]
        case _:
            return [measured(name, value)]


@settings(max_examples=200, deadline=None)
@given(
    states=st.fixed_dictionaries({name: st.tuples(States, st.floats(0, 1)) for name in NAMES[1:]}),
    top1=st.none() | st.floats(0, 1),
    wrong=st.booleans(),
)
def test_only_what_was_measured_and_decided_is_said(states: dict[str, tuple[str, float]], top1: float | None, wrong: bool) -> None:
    records = [record for name, (state, value) in states.items() for record in outcome(name, state, value)]
    records += [] if top1 is None else [accuracy(top1)]
    doubt = [Finding("near-chance", "it guesses", "check")] if wrong else []
    found = said(*records, findings=doubt)
    sound = {name for name, (state, _) in states.items() if state in ("measured", "noted")}
    praised = {point.axis.dimension.name for point in found.strengths}
    blamed = {point.axis.dimension.name for point in found.weaknesses} - {"accuracy"}
    assert praised <= {name for name in sound if states[name][1] >= STRONG}
    assert blamed <= sound
    assert not praised & blamed
    assert not (wrong and praised)
    for name in set(states) - sound:
        assert name not in found.text
    assert 1 <= len(found.sentences) <= 2
    assert len(found.strengths) <= 3
    assert len(found.weaknesses) <= 3
    scores = [point.axis.score or 0.0 for point in found.weaknesses]
    assert scores == sorted(scores)
    assert len(scores) <= 1 or max(scores) < WEAK
    kinds = {(alert.axis, alert.kind.value) for alert in found.alerts}
    for name, (state, _) in states.items():
        if state in ("void", "failed", "undecided"):
            assert (name, state) in kinds, "every such thing is an alert"
    order = [list(Severity).index(alert.severity) for alert in found.alerts]
    assert order == sorted(order)


@settings(max_examples=100, deadline=None)
@given(value=st.floats(0, 1), half=st.floats(0, 0.5), clean=st.floats(0.1, 1))
def test_what_breaks_it_is_beyond_both_intervals(value: float, half: float, clean: float) -> None:
    metric = Metric("capture_accuracy", ONE, Better.HIGHER, "", "", 0, 1)
    taken = Record("capture", Measurement(metric, value, 50, Interval(max(0.0, value - half), value + half, "t"), {"capture": "low_light"}))
    for entry in said(accuracy(clean), taken).breaks:
        assert entry.what == "low light"
        assert value + half < clean - 0.02 + 1e-9
        assert value <= clean - BREAKING
