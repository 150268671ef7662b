import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from efficient360.cli.check_command import GATE_FAILED
from efficient360.cli.parser import BAD_INPUT, OK, run_command
from efficient360.core.statistics import wilson
from efficient360.reports.report import to_json
from gate_runs import ROBUST, TOP1, measured, run


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """A baseline, and a run that is far less accurate."""
    made = []
    for name, hits in (("main", 450), ("new", 300)):
        top1 = measured("accuracy", TOP1, hits / 500, 500, wilson(hits, 500))
        one = run([top1, measured("adversarial", ROBUST, 0.5, 64, wilson(32, 64), epsilon="4/255")], name=name)
        data = to_json(one.report) | {"checkpoint": {"name": name, "digest": name, "architecture": "vit"}}
        (tmp_path / name).mkdir()
        (tmp_path / name / "report.json").write_text(json.dumps(data))
        made.append(str(tmp_path / name))
    return made[0], made[1]


def test_a_drop_ends_with_code_4_and_one_that_is_allowed_with_0(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    base, new = folders
    assert run_command(["check", new, "--baseline", base, "--fail-if", "top1 < -0.5pt"]) == GATE_FAILED
    assert capsys.readouterr().out.startswith("Check failed: 1 of 1 rule")
    assert run_command(["check", new, "--baseline", base, "--fail-if", "top1 < -50pt", "--require", "robust_accuracy >= 20%"]) == OK
    assert capsys.readouterr().out.startswith("Check passed: 2 rules")


def test_every_format_is_read_back(folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, new = folders
    common = ["check", new, "--baseline", base, "--fail-if", "top1 < -0.5pt"]
    assert run_command([*common, "--format", "json"]) == GATE_FAILED
    assert json.loads(capsys.readouterr().out)["results"][0]["state"] == "failed"
    assert run_command([*common, "--json"]) == GATE_FAILED
    assert json.loads(capsys.readouterr().out)["passed"] is False
    assert run_command([*common, "--format", "junit"]) == GATE_FAILED
    assert ElementTree.fromstring(capsys.readouterr().out).get("failures") == "1"
    assert run_command([*common, "--format", "md", "--junit", str(tmp_path / "a" / "x.xml"), "--markdown", str(tmp_path / "x.md")]) == GATE_FAILED
    assert capsys.readouterr().out == (tmp_path / "x.md").read_text()
    assert ElementTree.parse(tmp_path / "a" / "x.xml").getroot().get("tests") == "1"
    assert run_command([*common, "--quiet"]) == GATE_FAILED
    assert capsys.readouterr().out == ""


def test_rules_come_from_a_file_too(folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, new = folders
    rules = tmp_path / "rules.yaml"
    rules.write_text(f"baseline: {base}\nfail-if: [top1 < -0.5pt]\n")
    assert run_command(["check", new, "--rules", str(rules)]) == GATE_FAILED
    rules.write_text("fail-if: {}")
    assert run_command(["check", new, "--rules", str(rules)]) == BAD_INPUT
    assert "where a list is wanted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fail-if", "top1 < -1pt"], "there is no baseline"),
        (["--fail-if", "tpo1 < 1%"], "did you mean top1"),
        ([], "there is no rule to check"),
        (["--require", "top1 >= 90%", "--alpha", "2"], "alpha is 2"),
        (["--require", "top1 >= 90%", "--junit", "/proc/x/y"], "can't be written"),
    ],
)
def test_bad_input_ends_with_code_2(folders: tuple[str, str], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", folders[1], *arguments]) == BAD_INPUT
    assert words in capsys.readouterr().err


def test_export_writes_tables_and_figures(folders: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, new = folders
    assert run_command(["export", base, new]) == OK
    assert "| Performance | Top-1 accuracy | 90.0 %" in capsys.readouterr().out
    assert run_command(["export", base, "--out", str(tmp_path / "x.tex"), "--label", "tab:x"]) == OK
    assert r"\label{tab:x}" in (tmp_path / "x.tex").read_text()
    capsys.readouterr()
    assert run_command(["export", base, new, "--figure", str(tmp_path / "radar.svg")]) == OK
    assert capsys.readouterr().out.split() == [str(tmp_path / "radar.svg")]
    assert ElementTree.parse(tmp_path / "radar.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--format", "parquet"], "name a file"), (["--out", "x.docx"], "tells no format"), (["--axis", "x"], "no axis")]
)
def test_export_refuses_what_it_can_not_write(folders: tuple[str, str], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["export", folders[0], *arguments]) == BAD_INPUT
    assert words in capsys.readouterr().err
