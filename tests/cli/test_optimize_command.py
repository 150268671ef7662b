import json
from pathlib import Path

import pytest

from efficient360.cli.parser import run_command


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--max-latency", "5"], "bad-quantity"),
        (["--max-latency", "5mz"], "bad-quantity"),
        (["--goal", "latency_p55<5ms"], "unknown-metric"),
        (["--goal", "top1<=97%"], "bad-goal"),
        (["--budget", "soon"], "bad-quantity"),
        (["--trials", "0"], "bad-budget"),
        (["--threads", "-1"], "bad-option"),
        (["--device", "toaster"], "unknown-device"),
        (["--recover", "3"], "bad-quantity"),
    ],
)
def test_a_bad_request_is_refused_before_any_work(arguments: list[str], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["optimize", "digits-vit", "--dataset", "digits", "--out", str(tmp_path / "search"), "--json", *arguments]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code
    assert not (tmp_path / "search" / "trials.jsonl").exists()


@pytest.mark.parametrize(("arguments", "code"), [(["--runtimes", "litret"], "unknown-runtime"), (["--runtimes", "torch:int8"], "unknown-precision")])
def test_a_runtime_that_is_none_is_refused(arguments: list[str], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["optimize", "digits-vit", "--dataset", "digits", "--out", str(tmp_path), "--quiet", "--json", *arguments]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code


@pytest.mark.slow
def test_from_goals_to_a_folder_that_is_evaluated_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way in the one runtime that converts in seconds; an impossible goal on the same trials leaves ranked misses."""
    import subprocess
    import sys

    from efficient360.codesign.result_json import read

    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    common = ["optimize", "digits-vit", "--dataset", "digits", "--runtimes", "onnxruntime:int8-dynamic", "--quiet", "--threads", "1", "--out", str(tmp_path)]
    assert run_command([*common, "--max-latency", "1s", "--trials", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["met"]
    assert told["folders"] == [str(tmp_path / "model")]
    result = read(tmp_path / "result.json")
    assert result.winner is not None
    assert [baseline.name for baseline in result.baselines] == ["ONNX Runtime fp32"]
    assert (tmp_path / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    data = ["--dataset", "digits", "--only", "accuracy", "--quiet"]
    assert run_command(["evaluate", str(tmp_path / "model"), *data, "--out", str(tmp_path / "360"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["state"] == "complete"
    from efficient360.codesign.vision.original import open_original
    from efficient360.datasets.spec import DatasetSpec
    from efficient360.models.checkpoint import CheckpointSpec

    final = open_original(CheckpointSpec("digits-vit"), DatasetSpec("digits"), tmp_path / "again", 0).parts.final
    (tmp_path / "image.png").write_bytes(final.encoded(0, 1)[0])
    done = subprocess.run([sys.executable, tmp_path / "model" / "run.py", tmp_path / "image.png"], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(final.class_names[int(final.labels[0])])
    assert run_command([*common, "--max-size", "1kB", "--trials", "2", "--strict", "--json"]) == 4
    missed = json.loads(capsys.readouterr().out)
    assert not missed["met"]
    assert [Path(folder).parent.name for folder in missed["folders"]] == ["misses"] * len(missed["folders"])
    assert not (tmp_path / "model").exists()
    assert read(tmp_path / "result.json").binding is not None
