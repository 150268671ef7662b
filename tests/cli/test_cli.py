import dataclasses
import io
import subprocess
import sys
from pathlib import Path

import pytest

import synthetic
from efficient360 import api
from efficient360.cli.parser import run_command
from efficient360.execution.events import Opened
from efficient360.execution.plan import Plan, Step
from efficient360.execution.progress import listener
from efficient360.reports.folder import save
from efficient360.storage.outcomes import Store


class Planned(Exception):
    """Carries the plan out of the command, in place of running it."""


@pytest.fixture
def plan_of(monkeypatch: pytest.MonkeyPatch):
    """The plan that a command line becomes."""

    def stop(plan: Plan):
        raise Planned(plan)

    monkeypatch.setattr(api, "isolated", stop)

    def planned(*arguments: str) -> Plan:
        with pytest.raises(Planned) as caught:
            run_command(["evaluate", *arguments])
        return caught.value.args[0]

    return planned


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([]) == 0
    assert "evaluate" in capsys.readouterr().out
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out.strip().count(".") == 2


def test_a_command_line_becomes_a_plan(plan_of) -> None:
    plan = plan_of(
        "model.safetensors",
        "--arch",
        "vit_tiny_patch16_224",
        "--arch-arg",
        "img_size=32",
        "--arch-arg",
        "depths=[2, 2]",
        "--arch-arg",
        "global_pool=avg",
        "--dataset",
        "cifar10",
        "--data-dir",
        "here",
        "--only",
        "accuracy, macs",
        "--max-examples",
        "10",
        "--seed",
        "3",
        "--max-minutes",
        "1.5",
    )
    assert plan.checkpoint.arguments == {"img_size": 32, "depths": [2, 2], "global_pool": "avg"}
    assert plan.steps == (Step("accuracy", {}), Step("macs", {}))
    assert (plan.dataset.reference, plan.dataset.data_dir, plan.dataset.max_examples) == ("cifar10", Path("here"), 10)
    assert (plan.seed, plan.max_minutes) == (3, 1.5)
    assert plan.out == Path("runs/model-cifar10-quick-n10")
    assert plan.command.startswith("efficient360 evaluate model.safetensors --arch")


def test_folder_names_are_safe(plan_of) -> None:
    assert plan_of("hf-hub:org/name", "--dataset", "parquet:a/b*.parquet").out == Path("runs/hf-hub_org_name-b_.parquet-quick")
    assert plan_of("deit_tiny_patch16_224", "--random-weights").out == Path("runs/deit_tiny_patch16_224-random-quick")


def test_a_plugins_evaluator_joins_the_protocol(plan_of, plugin) -> None:
    assert plan_of("x", "--plugin", str(plugin())).steps[-1] == Step("brightness", {})


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        (["evaluate", "x", "--only", "acuracy"], "'acuracy'"),
        (["evaluate", "x", "--only", ","], "names no evaluator"),
        (["evaluate", "x", "--protocol", "fast"], "'fast'"),
        (["evaluate", "x", "--arch-arg", "img_size"], "--arch-arg img_size"),
        (["evaluate", "x", "--max-examples", "0"], "max_examples"),
        (["evaluate", "x", "--max-minutes", "-1"], "max_minutes"),
        (["evaluate", "x", "--plugin", "nowhere.py"], "nowhere.py"),
        (["report", "nowhere"], "nowhere has no report.json"),
        (["compare", "nowhere", "nowhere"], "nowhere has no report.json"),
        (["leaderboard", "build", "nowhere"], "nowhere has no report.json"),
        (["show", "evaluator", "acuracy"], "'acuracy'"),
        (["show", "dimension", "speed"], "'speed'"),
        (["show", "dataset", "cifar11"], "'cifar11'"),
    ],
)
def test_bad_input_is_one_sentence_with_a_hint_and_exit_code_2(capsys: pytest.CaptureFixture[str], arguments: list[str], subject: str) -> None:
    assert run_command(arguments) == 2
    message, hint = capsys.readouterr().err.splitlines()
    assert message.startswith("efficient360: ")
    assert subject in message
    assert hint.startswith("  → ")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A run with two unreadable lines among its outcomes."""
    report = synthetic.report()
    save(report, tmp_path / "run")
    store = Store(tmp_path / "run")
    store.append([dataclasses.replace(report.records[0], key="k", part=(0, 1))])
    with store.path.open("a", encoding="utf-8") as file:
        file.write("not json\n{}\n")
    return store.folder


def test_report_and_compare_warn_of_unreadable_outcomes(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    warning = f"efficient360: 2 lines of {damaged}/outcomes.jsonl can't be read and are left out\n"
    assert run_command(["report", str(damaged)]) == 0
    assert capsys.readouterr().err == warning
    assert run_command(["compare", str(damaged), str(damaged)]) == 0
    assert capsys.readouterr().err == 2 * warning


def test_a_sound_run_warns_of_nothing(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (damaged / "outcomes.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (damaged / "outcomes.jsonl").write_text(lines[0], encoding="utf-8")
    assert run_command(["report", str(damaged)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("corrupt", "line"),
    [(0, None), (1, "1 line of outcomes.jsonl can't be read and is left out"), (2, "2 lines of outcomes.jsonl can't be read and are left out")],
)
def test_a_run_begins_by_naming_unreadable_outcomes(corrupt: int, line: str | None) -> None:
    header = {"checkpoint": {"name": "m", "architecture": "vit", "digest": "a" * 64}, "dataset": None}
    stream = io.StringIO()
    with listener(stream) as listen:
        listen(Opened(header, {}, corrupt))
    assert stream.getvalue().splitlines()[1:] == ([] if line is None else [line])


def test_show_tells_settings_metrics_and_anchors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "evaluator", "calibration"]) == 0
    assert "bins: 15" in capsys.readouterr().out
    assert run_command(["show", "dimension", "computation"]) == 0
    assert "61.6 GMAC scores 0, 56 MMAC scores 1, log" in capsys.readouterr().out
    assert run_command(["show", "protocol", "quick"]) == 0
    assert "max_examples: 1000" in capsys.readouterr().out
    assert run_command(["show", "dataset", "cifar10"]) == 0
    assert "Krizhevsky" in capsys.readouterr().out


# What measures a second or less on 100 digits; what starts processes or trains has tests of its own, and the whole protocol runs weekly.
WHOLE_WAY = "parameters,macs,accuracy,calibration,group_fairness,inclusion,conformal"
# Those that start processes or restrict the machine do it once.
FEW = ("memory.batches=[1]", "latency.runtimes=[torch]", "latency.runs=6", "device_reach.profiles=['limited:1core-2gb']", "device_reach.runtimes=[torch]")


@pytest.mark.slow
@pytest.mark.parametrize(
    "evaluators",
    [("--only", WHOLE_WAY), pytest.param(tuple(part for one in FEW for part in ("--set", one)), marks=pytest.mark.exhaustive)],
    ids=["cheap evaluators", "quick"],
)
def test_the_whole_way(tmp_path: Path, tiny: Path, evaluators: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "efficient360", "evaluate", str(tiny), "--dataset", "digits", "--max-examples", "100", *evaluators, "--out", "a"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stderr
    assert "a/report.html" in done.stdout
    assert {f.name for f in (tmp_path / "a").iterdir()} >= {"report.json", "report.html", "outcomes.jsonl", "examples.parquet"}

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command(list(arguments))
        return code, *capsys.readouterr()

    code, out, _ = run("evaluate", "vit_tiny_patch16_224", "--random-weights", *_small(), "--only", "accuracy,parameters", "--strict", "--out", "b")
    assert code == 3
    assert "random weights" in out

    assert run("report", "a")[0] == 0
    code, out, _ = run("compare", "a", "b", "--all")
    assert code == 0
    assert "Parameters" in out
    code, _, err = run("evaluate", "vit_tiny_patch16_224", "--random-weights", *_small(), "--only", "parameters", "--out", "a")
    assert code == 2
    assert "a holds an evaluation on other data" in err
    code, _, err = run("evaluate", "digits-vit", "--dataset", "digits", "--only", "parameters", "--out", "a")
    assert code == 2
    assert "a holds an evaluation of another checkpoint" in err
    assert run("leaderboard", "build", "a", "b", "--out", "site")[0] == 0
    assert (tmp_path / "site" / "index.html").exists()


def _small() -> list[str]:
    pairs = ("img_size=32", "patch_size=8", "embed_dim=32", "depth=2", "num_heads=2", "num_classes=10")
    return [part for pair in pairs for part in ("--arch-arg", pair)]
