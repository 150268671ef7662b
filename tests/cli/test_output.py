"""What a command prints: in full, in brief, as JSON, quietly, and into a log."""

import argparse
import json
import re
from pathlib import Path

import pytest

from efficient360.cli.output import Result, opened
from efficient360.cli.output_options import add_output_options
from efficient360.cli.parser import run_command
from efficient360.errors import SettingsError

RESULT = Result(lambda: "[bold]all[/bold]\nof it", lambda: "in brief", lambda: {"value": 1.5, "name": "größer"})


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    parser = argparse.ArgumentParser()
    add_output_options(parser)
    with opened(parser.parse_args(arguments)) as output:
        output.result(RESULT)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ((), "[bold]all[/bold]\nof it\n"),  # a text is no markup
        (("--summary",), "in brief\n"),
        (("--quiet",), ""),
        (("--quiet", "--summary"), "in brief\n"),
    ],
)
def test_the_form_that_was_asked_for(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], printed: str) -> None:
    assert said(capsys, *arguments) == printed


@pytest.mark.parametrize("arguments", [("--json",), ("--json", "--quiet")])
def test_json_is_one_document(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert json.loads(said(capsys, *arguments)) == {"value": 1.5, "name": "größer"}


def test_a_log_is_dated_and_grows(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    log = tmp_path / "deep" / "log.txt"
    assert said(capsys, "--quiet", "--log-file", str(log)) == ""
    said(capsys, "--json", "--log-file", str(log))
    lines = log.read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d( |$)", line) for line in lines)
    said_there = [line.partition(" ")[2] for line in lines]
    assert said_there[:2] == ["[bold]all[/bold]", "of it"]
    assert json.loads("\n".join(said_there[2:])) == {"value": 1.5, "name": "größer"}


def test_a_log_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    parser = argparse.ArgumentParser()
    add_output_options(parser)
    with pytest.raises(SettingsError) as caught, opened(parser.parse_args(["--log-file", str(tmp_path / "file" / "log.txt")])):
        pass
    assert caught.value.code == "bad-option"


def test_an_error_as_json_has_its_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert run_command(["evaluate", "x", "--only", "acuracy", "--json", "--log-file", str(log)]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["code"] == "unknown-evaluator"
    assert "'acuracy'" in printed.err
    assert "'acuracy'" in log.read_text()


def test_the_doctor_speaks_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("efficient360.cli.doctor.WATCH", 0.01)
    assert run_command(["doctor", "--json"]) == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {check["state"] for check in checks} <= {"good", "lacking", "note"}
    assert {"energy", "GPU"} <= {check["name"] for check in checks}
