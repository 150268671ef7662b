"""Options that no run can have are one sentence and exit code 2; what is called what decides no path; a full disk leaves what was stored."""

import json
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kinds import MEASURED, REPORT

from efficient360.cli.parser import run_command
from efficient360.core.outcome import to_json
from efficient360.core.paths import LONGEST_NAME, file_name, user_path
from efficient360.errors import RunError
from efficient360.storage.json_lines import JsonLines
from efficient360.storage.outcomes import Store, write_atomically
from efficient360.storage.row_log import RowLog

LONG = "x" * 5000


def _code(arguments: list[str]) -> int:
    try:
        return run_command(arguments)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize(
    "options",
    [
        ["--seed", str(10**30)],
        ["--seed", "-1"],
        ["--seed", "1" * 5000],
        ["--seed", "٣"],
        ["--max-minutes", "nan"],
        ["--max-minutes", "inf"],
        ["--max-minutes", "-1"],
        ["--batch-size", str(10**30)],
        ["--max-examples", str(10**30)],
        ["--only", ","],
        ["--only", LONG],
        ["--arch-arg", "x=!!python/object/apply:os.mkdir [ran]"],
        ["--arch-arg", "x=[1"],
        ["--arch-arg", "x=" + "9" * 5000],
        ["--arch-arg", "x=2020-99-99: ["],
        ["--set", "accuracy.k=!!python/name:os.system"],
        ["--set", "accuracy.k=" + "[" * 5000],
        ["--protocol", LONG],
        ["--protocol", LONG + ".yaml"],
        ["--protocol", "../quick"],
        ["--protocol", "."],
        ["--protocol", "folder.yaml"],
        ["--as", LONG],
        ["--out", "\udcff"],
        ["--out", LONG],
        ["--dataset", f"imagefolder:{LONG}"],
        ["--dataset", "parquet:" + "x/" * 3000],
        ["--dataset", "digits", "--data-dir", LONG],
        ["--dataset", "digits\udcff"],
        ["--wandb", "a#b"],
        ["--plugin", LONG],
    ],
    ids=lambda options: " ".join(options).encode(errors="replace").decode()[:40],
)
def test_an_option_that_no_run_can_have(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    assert _code(["evaluate", "digits-vit", *options]) == 2
    assert "efficient360" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.yaml"]


@pytest.mark.parametrize("command", [["report"], ["compare", "."], ["leaderboard", "build"]], ids=" ".join)
@pytest.mark.parametrize("place", [LONG, "x/" * 2500, "file", "nowhere", "."])
def test_a_folder_that_is_no_run(command: list[str], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert _code([*command, place]) == 2
    assert capsys.readouterr().err.startswith("efficient360: ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_report_where_nothing_may_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    (tmp_path / "report.html").mkdir()
    assert _code(["report", str(tmp_path)]) == 2
    assert "can't be written" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} <= {"report.json", "report.html"}


@pytest.mark.parametrize("name", ["../../../outside", "/tmp/outside", "a/../../outside", ".hidden", "..", "", "x" * 5000, "\x1b[31mred\n", "a\0b", "è" * 200])
def test_a_cards_name_is_no_path(name: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (inner / "mine.safetensors").write_bytes(tiny.read_bytes())
    (inner / "mine.json").write_text(json.dumps({**json.loads(tiny.with_suffix(".json").read_text()), "name": name[:200]}))
    assert _code(["compress", "mine.safetensors", "half"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert len(list(inner.iterdir())) == 4
    made = next(path for path in inner.glob("*.safetensors") if path.name != "mine.safetensors")
    assert _code(["compress", made.name, "clustering:4"]) == 0  # what was written can be read


def test_a_stored_key_is_no_path(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs" / "a")
    for key in ("../../../outside", "/outside", "..", "x" * 5000):
        assert store.work(key).parent == tmp_path / "runs" / "a" / "work"
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@given(st.text(), st.text())
def test_every_name_is_one_part_of_a_path(name: str, other: str) -> None:
    kept = file_name(name)
    assert kept == Path(kept).name
    assert kept not in ("", ".", "..")
    assert not kept.startswith(".")
    assert len(kept.encode()) <= LONGEST_NAME
    assert file_name(kept) == kept
    if len(name) > LONGEST_NAME and file_name(other) == kept:
        assert len(other) <= LONGEST_NAME or other == name


def test_names_that_are_sound_stay() -> None:
    assert [file_name(name) for name in ("digits-vit", "vit_tiny.augreg_in21k", "räksmörgås", "a b", "hf-hub:org/name")] == [
        "digits-vit",
        "vit_tiny.augreg_in21k",
        "räksmörgås",
        "a_b",
        "hf-hub_org_name",
    ]


def test_home_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/of-mine")
    assert user_path("~/runs/a") == Path("/home/of-mine/runs/a")
    assert user_path("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")
    assert user_path("a/~") == Path("a/~")


def _limited(size: int, work: Any) -> None:
    """Run with files limited to a size, as ``ulimit -f`` does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        work()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_what_was_stored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append([MEASURED])
    size = store.path.stat().st_size
    with pytest.raises(RunError) as caught:
        _limited(size + 100, lambda: store.append([MEASURED] * 5))
    assert caught.value.code == "unwritable-run"
    assert store.path.stat().st_size == size
    store.append([MEASURED])
    assert (len(Store(tmp_path).groups()), Store(tmp_path).corrupt_lines()) == (2, 0)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "report.json", b"old")
    with pytest.raises(OSError, match="large"):
        _limited(100, lambda: write_atomically(tmp_path / "report.json", b"x" * 1000))
    assert (tmp_path / "report.json").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_rows_on_a_full_disk(tmp_path: Path) -> None:
    import numpy as np

    log = RowLog(tmp_path / "rows.f64", 4, "float64")
    log.append(np.zeros((2, 4)))
    with pytest.raises(RunError) as caught:
        _limited(100, lambda: log.append(np.ones((9, 4))))
    assert caught.value.code == "unwritable-run"
    log.truncate(2)
    assert (log.read(0, 9) == 0).all()


def test_a_store_in_a_folders_place(tmp_path: Path) -> None:
    (tmp_path / "outcomes.jsonl").mkdir()
    with pytest.raises(RunError) as caught:
        JsonLines(tmp_path / "outcomes.jsonl").append([to_json(MEASURED)])
    assert caught.value.code == "unwritable-run"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_card_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: x")
    path.chmod(0)
    assert _code(["evaluate", "digits-vit", "--dataset", str(path), "--out", str(tmp_path / "run")]) == 2
