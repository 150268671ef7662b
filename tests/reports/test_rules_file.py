from pathlib import Path

import pytest
import yaml

from efficient360.cli.parser import parser
from efficient360.errors import SettingsError
from efficient360.reports.gate.rule import Kind
from efficient360.reports.gate.rules_file import parse_rules, read_rules

TEXT = """
baseline: runs/main
alpha: 0.01
strict: true
proven: true
fail-if:
  - top1 < -0.5pt
  - {rule: latency_p50 > +10%, name: Latency, why: the app has 20 ms}
require:
  - robust_accuracy[epsilon=4/255] >= 20%
"""


def test_a_file_says_rules_baseline_and_how_sure() -> None:
    found = parse_rules(TEXT, "rules.yaml")
    assert (found.baseline, found.alpha, found.strict, found.proven) == ("runs/main", 0.01, True, True)
    assert [(r.kind, r.metric, r.name, r.why) for r in found.rules] == [
        (Kind.FAIL_IF, "top1", "", ""),
        (Kind.FAIL_IF, "latency_p50", "Latency", "the app has 20 ms"),
        (Kind.REQUIRE, "robust_accuracy", "", ""),
    ]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("fail_if: [top1 < -0.5pt]", "bad-rules", "unknown key 'fail_if'"),
        ("fail-if: top1 < -0.5pt", "bad-rules", "fail-if is 'top1 < -0.5pt', where a list is wanted"),
        ("fail-if: [3]", "bad-rules", "fail-if[0] is 3, where a rule"),
        ("fail-if: [{name: Top-1}]", "bad-rules", "where a rule"),
        ("alpha: 0.7", "bad-rules", "alpha is 0.7, where a number below 0.5 is wanted"),
        ("strict: maybe", "bad-rules", "strict is 'maybe', where true or false is wanted"),
        ("- top1", "bad-rules", "where an object is wanted"),
        ("fail-if: [", "bad-rules", "is not YAML"),
        ("fail-if: [top1 < -0.5pt, top1]", "bad-rule", "rules.yaml, fail-if[1]: the rule 'top1' is not a rule"),
    ],
)
def test_what_is_no_file_of_rules_is_one_sentence_with_its_place(text: str, code: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_rules(text, "rules.yaml")
    assert refused.value.code == code
    assert words in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("entry", ["{rul: top1 < 3}", "{rule: top1 < 90%, because: of that}", "{1: top1 < 3}"])
def test_an_unknown_key_of_a_rule_is_answered_with_the_keys_of_a_rule(entry: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_rules(f"require: [top1 >= 3%, {entry}]", "rules.yaml")
    assert refused.value.code == "bad-rules"
    assert "require[1] has an unknown key" in refused.value.message
    assert refused.value.hint == "the keys of a rule are: rule, name, why"


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read_rules(tmp_path / "none.yaml")
    assert refused.value.code == "bad-rules"


def test_the_example_of_a_workflow_and_its_rules_are_read() -> None:
    folder = Path(__file__).parents[2] / "examples" / "gate"
    assert len(read_rules(folder / "rules.yaml").rules) == 7
    workflow = yaml.safe_load((folder / "github-workflow.yml").read_text())
    steps = workflow["jobs"]["gate"]["steps"]
    (comment,) = (step for step in steps if "gh pr comment" in step.get("run", ""))
    assert "head.repo.full_name == github.repository" in comment["if"]  # the token of a fork's pull request may only read
    commands = [line for step in steps for line in step.get("run", "").splitlines() if line.startswith("efficient360 ")]
    assert [parser().parse_args(command.split()[1:]).command for command in commands] == ["evaluate", "evaluate", "check"]
