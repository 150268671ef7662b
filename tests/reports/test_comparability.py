"""Like beside like: what was measured with other settings shares no cell, score, tie or winner."""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import synthetic
from efficient360.core.measurement import ONE, Better, Interval, Measurement, Metric
from efficient360.core.outcome import Record, from_json, to_json
from efficient360.dimensions.dimension import Bound
from efficient360.dimensions.privacy import DIMENSION as PRIVACY
from efficient360.dimensions.robustness import DIMENSION as ROBUSTNESS
from efficient360.leaderboard.build import boards, build
from efficient360.reports import html, sections
from efficient360.reports.comparability import differences, in_words
from efficient360.reports.comparison import Verdict, compare
from efficient360.reports.drawing.radar import RadarRun
from efficient360.reports.drawing.radar import radar as drawn_radar
from efficient360.reports.drawing.svg import standalone
from efficient360.reports.radar import radar
from efficient360.reports.report import Axis, Report, axes_of
from efficient360.reports.report import to_json as report_json
from efficient360.reports.terminal import full_listing as summary
from efficient360.reports.wandb.payload import axis_rows, metrics, outcome_rows

ROBUST = Metric("robust_accuracy", ONE, Better.HIGHER, "Robust accuracy.", low=0, high=1)
CORRUPTED = Metric("corruption_accuracy", ONE, Better.HIGHER, "Accuracy under corruptions.", low=0, high=1)
STRONGEST = Metric("strongest_attack_auc", ONE, Better.LOWER, "AUC of the strongest attack.", low=0, high=1)
TNR = Metric("tnr_at_fnr", ONE, Better.LOWER, "TNR at FNR.", low=0, high=1)
BLIND = "a blind baseline separates members from non-members by their pixels alone (AUC 60.4 %)"
AUTOATTACK: dict[str, Any] = {"attacks": ["apgd-ce", "apgd-t", "fab-t", "square"], "steps": 100, "targets": 9, "queries": 5000}
QUICK: dict[str, Any] = {"attacks": ["apgd-ce", "apgd-t", "square"], "steps": 20, "targets": 3, "queries": 200}


def robust(value: float, settings: Mapping[str, Any], told: bool = True, facts: Mapping[str, str] | None = None) -> Record:
    conditions = {"norm": "linf", "epsilon": "4/255", "attack": "worst case"}
    outcome = Measurement(ROBUST, value, 64, Interval(value - 0.01, value + 0.01, "wilson"), conditions)
    return Record(
        "adversarial", outcome, settings=settings, measured_with={"version": 1, "settings": settings, "data": "digits test", **(facts or {})} if told else {}
    )


def corrupted(value: float) -> Record:
    conditions = {"over": "15 corruptions, 5 severities"}
    return Record("corruption", Measurement(CORRUPTED, value, 64, Interval(value - 0.1, value + 0.1, "bootstrap"), conditions))


def private(void: str = "") -> list[Record]:
    conditions = {"attack": "loss", "fnr": "1 %"}
    return [
        Record("membership_inference", Measurement(STRONGEST, 0.6, 100, void=void)),
        Record("membership_inference", Measurement(TNR, 0.02, 100, conditions=conditions, void=void)),
    ]


def report(*records: Record, name: str = "model", digest: str = "d") -> Report:
    base = synthetic.report(name)
    axes = axes_of([ROBUSTNESS, PRIVACY], records)
    return dataclasses.replace(base, records=list(records), axes=axes, dataset={**(base.dataset or {}), "digest": digest})


def folders(tmp_path: Path, *names: str) -> list[Path]:
    made = [tmp_path / name for name in names]
    for folder in made:
        folder.mkdir()
    return made


def compared(tmp_path: Path, a: Record, b: Record) -> Any:
    first, second = folders(tmp_path, "a", "b")
    (row,) = compare(report(a), first, report(b), second).rows
    return row


def printed(of: Report) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(summary(of, None))
    return out.getvalue()


@pytest.mark.parametrize("told", [True, False])
def test_three_attacks_at_twenty_steps_are_not_compared_with_autoattack(tmp_path: Path, told: bool) -> None:
    row = compared(tmp_path, robust(0.9, QUICK, told), robust(0.1, AUTOATTACK, told))
    assert row.verdict is Verdict.NOT_COMPARABLE
    assert row.difference is None
    assert "steps 20 against 100" in row.basis
    assert "attacks apgd-ce, apgd-t, square against apgd-ce, apgd-t, fab-t, square" in row.basis


def test_an_old_run_is_compared_by_the_settings_that_matter_to_the_new_one(tmp_path: Path) -> None:
    old = robust(0.9, QUICK | {"shown": 3, "rows": 8}, told=False)
    new = dataclasses.replace(robust(0.1, QUICK), settings=QUICK | {"shown": 9, "rows": 1})
    assert not differences(old, new)
    assert not differences(new, old)
    assert differences(old, robust(0.1, AUTOATTACK))
    assert compared(tmp_path, old, new).verdict is Verdict.FIRST


@pytest.mark.parametrize("fact", ["data", "examples", "machine", "version"])
def test_data_examples_machine_and_version_are_compared(fact: str) -> None:
    found = differences(robust(0.9, QUICK, facts={fact: "this"}), robust(0.9, QUICK, facts={fact: "that"}))
    assert in_words(found) == f"{fact} this against that"


def test_the_order_of_a_list_does_not_matter() -> None:
    turned = QUICK | {"attacks": list(reversed(QUICK["attacks"]))}
    assert not differences(robust(0.9, QUICK), robust(0.9, turned))


SETTINGS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2) | st.lists(st.integers(0, 2), max_size=2), max_size=3)


@given(SETTINGS, SETTINGS, st.booleans(), st.booleans())
def test_whether_two_are_alike_does_not_depend_on_their_order(a: dict, b: dict, first: bool, second: bool) -> None:
    x, y = robust(0.5, a, first), robust(0.5, b, second)
    assert [(name, two, one) for name, one, two in sorted(differences(x, y))] == sorted(differences(y, x))
    assert not differences(x, x)


def axis(*records: Record, name: str = "robustness") -> Axis:
    return next(a for a in report(*records).axes if a.dimension.name == name)


def test_a_score_under_the_anchors_strength_is_not_marked() -> None:
    scored = axis(robust(0.4, AUTOATTACK), corrupted(0.6))
    assert (scored.score, scored.bound, scored.score_text, scored.bound_text) == (0.5, None, "0.50", "")


def test_a_score_under_weaker_attacks_is_marked_as_an_upper_bound_everywhere() -> None:
    records = robust(0.4, QUICK), corrupted(0.6)
    scored, whole = axis(*records), report(*records)
    assert scored.bound is Bound.UPPER
    assert scored.score_text == "≤ 0.50"
    assert "steps 20 (the axis takes 100)" in scored.bound_text
    assert "≤ 0.50" in printed(whole)
    assert "upper bound" in printed(whole)
    assert "≤ 0.50" in str(radar(whole.axes))
    assert "≤ 0.50" in standalone(drawn_radar(RadarRun("m", whole.axes)))
    page = html.render(whole)
    assert "≤ 0.50" in page
    assert "upper bound: adversarial" in page
    (plain, _) = report_json(whole)["dimensions"]
    assert plain["bound"] == "upper bound"
    assert plain["parts"][1]["bound"] == "upper bound"
    assert "bound" not in plain["parts"][0]


def test_other_settings_of_which_nobody_knows_the_side_are_marked_as_such() -> None:
    shadows = [dataclasses.replace(record, settings={"shadows": 16, "shadow_checkpoints": {}}) for record in private()]
    marked = axis(*shadows, name="privacy")
    assert marked.bound is Bound.OTHER
    assert marked.score_text.endswith("*")
    assert "shadows 16 (the axis takes 0)" in marked.bound_text


def test_void_numbers_have_no_score_anywhere(tmp_path: Path) -> None:
    void, valid = report(*private(BLIND)), report(*private(), name="valid")
    (gap,) = (a for a in void.axes if a.dimension.name == "privacy")
    assert (gap.score, gap.coverage) == (None, 0)
    assert all(part.reason == f"void: {BLIND}" for part in gap.parts)
    assert BLIND in sections.no_score(gap)
    text = printed(void)
    assert f"no score, void: {BLIND}" in text
    assert "void (60.0 %)" in text
    assert "void" in str(radar([gap]))
    assert "void" in standalone(drawn_radar(RadarRun("m", [gap])))
    assert BLIND in html.render(void)
    assert metrics(void) == {}
    assert axis_rows(void)[1][1] is None
    assert {row[-2] for row in outcome_rows(void)} == {"void"}
    a, b = folders(tmp_path, "a", "b")
    for first, second in ((void, valid), (valid, void)):
        rows = compare(first, a, second, b).rows
        assert {row.verdict for row in rows} == {Verdict.NOT_TESTED}
        assert {row.basis for row in rows} == {f"void: {BLIND}"}
    (board,) = boards([(a, void), (b, valid)], tmp_path)
    assert board.entries[0].cells == {}
    assert set(board.entries[0].void.values()) == {BLIND}
    assert board.entries[1].cells
    assert BLIND in build([(a, void), (b, valid)], tmp_path / "site").read_text(encoding="utf-8")


def test_void_and_what_it_was_measured_with_survive_being_stored() -> None:
    for record in (*private(BLIND), robust(0.4, QUICK)):
        assert from_json(to_json(record)) == record


def cells(runs: Sequence[tuple[Path, Report]], out: Path) -> list[dict[str, float]]:
    (board,) = boards(runs, out)
    return [{key: cell.value for key, cell in entry.cells.items()} for entry in board.entries]


def test_a_leaderboards_column_holds_only_what_was_measured_the_same_way(tmp_path: Path) -> None:
    a, b, c = folders(tmp_path, "a", "b", "c")
    runs = [(a, report(robust(0.9, QUICK))), (b, report(robust(0.1, AUTOATTACK))), (c, report(robust(0.2, AUTOATTACK)))]
    first, second, third = cells(runs, tmp_path)
    (plain,) = second
    assert set(third) == {plain}
    (other,) = first
    assert other.startswith(f"{plain}{{")
    assert "steps 20" in other
    page = build(runs, tmp_path / "site").read_text(encoding="utf-8")
    assert "steps 20" in page


def test_a_column_of_runs_that_were_measured_the_same_way_keeps_its_name(tmp_path: Path) -> None:
    a, b = folders(tmp_path, "a", "b")
    first, second = cells([(a, report(robust(0.9, QUICK))), (b, report(robust(0.1, QUICK)))], tmp_path)
    assert set(first) == set(second) == {"adversarial.robust_accuracy[norm linf, epsilon 4/255, attack worst case]"}
