import json
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from efficient360.core.measurement import Interval
from efficient360.core.statistics import wilson
from efficient360.reports.gate import terminal, words
from efficient360.reports.gate.check import check
from efficient360.reports.gate.rule import Kind, parse_rule
from efficient360.reports.gate.run_check import CheckResult
from gate_runs import AUC, LATENCY, MACS, ROBUST, checked, exact, measured, right, run, void

NAME = "a|b <script>alert(1)</script> & ]]> \x1b[31m\u202e"


@pytest.fixture(scope="module")
def result() -> CheckResult:
    attacked = measured("adversarial", ROBUST, 0.1, 64, wilson(6, 64), epsilon="4/255")
    base = run([attacked], {("accuracy", "top1"): right(500, range(20))}, NAME)
    ours = run([attacked, void("membership", AUC, 0.5, "a blind <baseline>")], {("accuracy", "top1"): right(500, range(60))}, NAME)
    rules = [
        parse_rule(Kind.FAIL_IF, "top1 < -0.5pt", name="Accuracy | <b>", why="the app & its users"),
        parse_rule(Kind.FAIL_IF, "robust_accuracy < -0"),
        parse_rule(Kind.REQUIRE, "attack_auc <= 60%"),
        parse_rule(Kind.FAIL_IF, "attack_auc > +1pt"),
    ]
    return CheckResult(check(ours, rules, base))


def test_junit_reads_back_with_the_counts_of_its_cases(result: CheckResult) -> None:
    root = ElementTree.fromstring(result.to_junit())
    (suite,) = root
    cases = suite.findall("testcase")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    assert [[child.tag for child in case] for case in cases] == [["failure"], ["system-out"], ["failure"], ["skipped"]]
    assert cases[0].get("name", "").startswith("Accuracy | <b>: fail if top1 < -0.5pt (")
    message = cases[0].find("failure").get("message", "")
    assert "96.0 % → 88.0 %, −8.0 pt" in message
    assert "adjusted p < 0.001, paired test over 500 examples" in message
    assert "the app & its users" in (cases[0].find("failure").text or "")


def test_json_reads_back_and_names_every_number(result: CheckResult) -> None:
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert data["passed"] is False
    first = data["results"][0]
    assert (first["state"], first["fails"], first["quantity"]) == ("failed", True, "change")
    assert first["change"] == pytest.approx(-0.08)
    assert first["limit"] == pytest.approx(-0.005)
    assert first["interval"][0] < -0.08 < first["interval"][1]
    assert [r["state"] for r in data["results"]] == ["failed", "passed", "missing", "missing"]


def test_markdown_is_a_table_in_which_nothing_is_markup(result: CheckResult) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(result.to_markdown())
    assert [t.type for t in tokens].count("tr_open") == 5
    cells = ["".join(child.content for child in t.children or []) for t in tokens if t.type == "inline" and t.level == 4]
    heads, rows = cells[:8], [cells[i : i + 8] for i in range(8, len(cells), 8)]
    assert heads == ["", "Rule", "Value", "Baseline", "Run", "Change", "95 % interval", "Evidence"]
    assert rows[0][:6] == ["❌", "Accuracy | <b>: fail if top1 < -0.5pt", "Top-1 accuracy", "96.0 %", "88.0 %", "−8.0 pt"]
    assert rows[1][0] == "❌"
    assert rows[1][7] == "missing: void: a blind <baseline>"
    assert {child.type for t in tokens for child in t.children or []} <= {"text", "text_special"}


def test_the_terminal_says_first_whether_it_passed_and_fits_80_columns(result: CheckResult) -> None:
    console = Console(width=80, record=True, file=None, no_color=True)
    with console.capture() as captured:
        console.print(terminal.text(result.check))
    lines = captured.get().splitlines()
    assert lines[0].rstrip() == "Check failed: 2 of 4 rules, 1 rule without a value"
    assert any("Accuracy | <b>: fail if top1 < -0.5pt" in line for line in lines)
    assert max(map(len, lines)) <= 80
    with console.capture() as captured:
        console.print(terminal.summary(result.check))
    assert "robust_accuracy" not in captured.get()
    assert "the app & its users" in captured.get()


def test_the_frame_has_a_row_a_result(result: CheckResult) -> None:
    frame = result.to_frame()
    assert list(frame["state"]) == ["failed", "passed", "missing", "missing"]


def test_repr_is_one_line(result: CheckResult) -> None:
    assert repr(result).endswith("failed (1 passed, 1 failed, 2 missing)>")
    passed = checked([], run([measured("adversarial", ROBUST, 0.5, 64, wilson(32, 64))]), require=["robust_accuracy >= 20%"])
    assert repr(CheckResult(passed)) == "<CheckResult of model: passed (1 passed)>"


def test_the_headline_counts_rules_and_says_where_values_are_more() -> None:
    interval = Interval(0.009, 0.03, "bootstrap-t")
    records = [measured("latency", LATENCY, value, 100, interval, runtime=name) for name, value in (("torch", 0.021), ("tvm", 0.022))]
    told = words.headline(checked([], run([*records, exact(MACS, 2e9)]), require=["latency_p50 <= 20ms", "macs <= 3GMAC"]))
    assert told == "Check passed: 2 rules, 1 rule undecided (3 values)"


def test_a_lone_p_value_is_not_called_adjusted() -> None:
    (lone,) = checked([], run([measured("adversarial", ROBUST, 0.1, 64, wilson(6, 64))]), require=["robust_accuracy >= 50%"]).results
    assert words.evidence(lone).startswith("p < 0.001, ")


@pytest.mark.parametrize(
    ("device", "told"), [("limited:1core-2gb", "device = limited:1core-2gb (emulated) · batch size = 1"), ("local", "device = local · batch size = 1")]
)
def test_a_profile_is_labelled_as_emulated(device: str, told: str) -> None:
    latency = measured("latency", LATENCY, 0.01, 100, Interval(0.009, 0.011, "bootstrap-t"), device=device, batch=1)
    (result,) = checked([], run([latency]), require=["latency_p50 <= 20ms"]).results
    assert words.subject(result).endswith(told)
