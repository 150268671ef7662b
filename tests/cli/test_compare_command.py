"""``compare`` and ``report --against`` on the command line."""

import json
from pathlib import Path

import pytest

import synthetic
from efficient360.cli.parser import run_command
from efficient360.reports.folder import save


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        save(synthetic.report(folder.name), folder)
    return [str(folder) for folder in folders]


def test_the_verdict_comes_first(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["compare", *runs[:2]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("A  ")
    assert lines[2].startswith("Neither A nor B is better on any axis")
    assert run_command(["compare", *runs, "--summary"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_json_and_files(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["compare", *runs, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 3
    file = tmp_path / "there" / "page.html"
    assert run_command(["compare", *runs[:2], "--format", "html", "--out", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run_command(["compare", *runs[:2], "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("first_run,")


def test_the_ending_of_the_file_names_the_format(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["compare", *runs[:2], "--out", str(tmp_path / "x.json")]) == 0
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["runs"][0]["letter"] == "A"
    assert run_command(["compare", *runs[:2], "--out", str(tmp_path / "x.pdf")]) == 2
    assert "a comparison can't be written as .pdf" in capsys.readouterr().err
    assert not (tmp_path / "x.pdf").exists()


@pytest.mark.parametrize(("arguments", "subject"), [([], "compare got one run"), (["--format", "md", "--json"], "--format md beside --json")])
def test_what_makes_no_comparison_is_refused(runs: list[str], arguments: list[str], subject: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["compare", *(runs[:2] if arguments else runs[:1]), *arguments]) == 2
    assert subject in capsys.readouterr().err


def test_a_run_is_laid_over_another(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["report", runs[0], "--against", runs[1], "--against", runs[2]]) == 0
    page = Path(runs[0]) / "against-two-three.html"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert capsys.readouterr().out.rstrip().endswith(str(page))
    assert 'href="against-two-three.html"' in (Path(runs[0]) / "report.html").read_text(encoding="utf-8")
