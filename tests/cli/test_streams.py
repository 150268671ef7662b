"""The command with outputs that are full, closed or of another encoding, in a folder that is gone, without a home."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import efficient360
from efficient360.cli import entry

ROOT = Path(efficient360.__file__).parents[1]
LIST = ("list", "evaluators")


def environment(**changes: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | changes


def shell(command: str, folder: Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    """A line of bash in which ``$E`` is the command."""
    line = f"E='{sys.executable} -m efficient360'; {command}"
    return subprocess.run(["bash", "-c", line], cwd=folder, env=environment(**changes), capture_output=True, text=True, check=False, errors="replace")


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("changes", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, C_LOCALE])
def test_any_encoding_will_do(tmp_path: Path, changes: dict[str, str]) -> None:
    done = shell("$E list evaluators && $E show dimension latency && $E list datasets", tmp_path, **changes)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize(
    ("redirected", "code"),
    [(">/dev/full", 1), ("2>/dev/full", 0), (">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("| head -1", 0), ("2>&1 | head -1", 0), ("| true", 0)],
)
def test_no_output_ends_it_with_a_traceback(tmp_path: Path, redirected: str, code: int) -> None:
    done = shell(f"$E list evaluators {redirected}; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert ("can't be written" in done.stderr) == (code == 1)


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    done = shell("mkdir gone && cd gone && rmdir ../gone && $E list evaluators", tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "current folder has been deleted" in done.stderr


def test_without_a_home(tmp_path: Path) -> None:
    done = shell("unset HOME; $E list evaluators", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bug_keeps_its_traceback_without_what_it_hides(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(arguments: object) -> int:
        raise RuntimeError("a name \x1b]0;title\x07")

    monkeypatch.setattr(entry, "run_command", fail)
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back afterwards
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    assert entry.run([]) == 1
    printed = capsys.readouterr().err
    assert "RuntimeError: a name" in printed
    assert "\x1b" not in printed


def test_bad_input_from_elsewhere_is_one_line(tmp_path: Path) -> None:
    done = shell("$E list evaluators --plugin $'no\\e[31m\\nsuch\\u202e.py'", tmp_path)
    assert done.returncode == 2
    assert not {"\x1b", "\u202e"} & set(done.stderr)
    assert len(done.stderr.splitlines()) == 2  # the sentence, and what to do


@pytest.mark.slow
@pytest.mark.parametrize(
    "redirected", [">/dev/full 2>/dev/full", *(pytest.param(r, marks=pytest.mark.exhaustive) for r in ("2>&1 | head -1", "2>&-", "| true"))]
)
def test_an_evaluation_goes_on_without_anybody_to_read_it(tmp_path: Path, tiny: Path, redirected: str) -> None:
    what = f"evaluate {tiny} --dataset digits --max-examples 20 --only accuracy,calibration,parameters --out run"
    done = shell(f"$E {what} {redirected}", tmp_path)
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "run" / "report.json").read_text())["state"] == "complete"
