"""Job files: read, refused, turned into options; written by init; several checkpoints in one command."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import synthetic
from efficient360 import api
from efficient360.cli.evaluate_command import planned
from efficient360.cli.job import Job, keys_of, options_of, read_job
from efficient360.cli.parser import parse_arguments, run_command
from efficient360.errors import CheckpointError, SettingsError
from efficient360.execution.plan import Plan
from efficient360.reports.folder import save

JOB = """
models:
  - checkpoint: a.safetensors
    arch: vit_tiny_patch16_224
    arch_arg: {img_size: 32, depths: [2, 2], global_pool: avg, name: "no"}
  - {checkpoint: b.pth, weights_key: ema, as: "onnxruntime:int8"}
data: {dataset: cifar10, data_dir: here, group_column: [sex, age], max_examples: 50}
evaluation:
  only: [accuracy, calibration]
  set: {calibration: {bins: 20, coverages: [0.8, 0.9]}}
  seed: 3
results:
  # nothing yet
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB, encoding="utf-8")
    return path


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Plan]:
    """The plans that a command line becomes; in place of running them a report is written, and none for a checkpoint called broken."""
    ran: list[Plan] = []

    def pretend(plan: Plan, listen: object) -> Any:
        ran.append(plan)
        if "broken" in plan.checkpoint.reference:
            raise CheckpointError("checkpoint-unreadable", f"{plan.checkpoint.reference} is broken", "mend it")
        report = synthetic.report(plan.checkpoint.reference)
        save(report, plan.out)
        return report

    monkeypatch.setattr(api, "run_plan", pretend)
    monkeypatch.chdir(tmp_path)
    return ran


def test_a_job_is_what_its_options_would_be(job: Path, plans: list[Plan]) -> None:
    assert run_command(["evaluate", "--config", str(job), "--quiet"]) == 0
    first, second = plans
    assert first.checkpoint.architecture == "vit_tiny_patch16_224"
    assert first.checkpoint.arguments == {"img_size": 32, "depths": [2, 2], "global_pool": "avg", "name": "no"}
    assert (second.checkpoint.weights_key, second.deployment) == ("ema", "onnxruntime:int8")
    for plan in plans:
        assert plan.dataset is not None
        assert (plan.dataset.reference, plan.dataset.group_columns, plan.dataset.max_examples) == ("cifar10", ("sex", "age"), 50)
        assert [step.evaluator for step in plan.steps] == ["accuracy", "calibration"]
        assert plan.seed == 3


def test_what_is_typed_beside_it_wins(job: Path, plans: list[Plan]) -> None:
    assert run_command(["evaluate", "--config", str(job), "--seed", "7", "--only", "calibration", "--quiet"]) == 0
    assert {plan.seed for plan in plans} == {7}
    assert plans[0].steps[0].settings == {"bins": 20, "coverages": [0.8, 0.9]}


def test_checkpoints_typed_beside_it_take_the_place_of_its_models(job: Path, plans: list[Plan]) -> None:
    assert run_command(["evaluate", "--config", str(job), "c", "--only", "calibration", "d", "--quiet"]) == 0
    assert [plan.checkpoint.reference for plan in plans] == ["c", "d"]


@pytest.mark.parametrize(
    ("text", "subject", "hint"),
    [
        ("models: [{checkpoint: a, archh: x}]", "'archh' in models[0]", "did you mean arch"),
        ("models: [{checkpoint: a}]\ndata: {datset: digits}", "'datset' in data", "did you mean dataset"),
        ("modles: []", "'modles'", "did you mean models"),
        ("models: []", "models is []", "init"),
        ("models: [{arch: x}]", "has no models[0].checkpoint", "init"),
        ("models: [{checkpoint: a}]\ndata: {max_examples: many}", "data.max_examples", "init"),
        ("just text", "job.yaml", "init"),
        ("models: [", "is not YAML", "init"),
    ],
)
def test_a_bad_job_is_told_by_its_place(tmp_path: Path, text: str, subject: str, hint: str) -> None:
    (tmp_path / "job.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        read_job(tmp_path / "job.yaml")
    assert caught.value.code == "bad-job"
    assert subject in caught.value.message
    assert hint in caught.value.hint


def test_there_is_no_such_job(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read_job(tmp_path / "job.yaml")
    assert caught.value.code == "unknown-job"


def test_every_key_is_an_option_of_evaluate() -> None:
    """None of them is made up, and none of the command's that concern a run is left out."""
    options = vars(parse_arguments(["evaluate"]))
    keys = {key.replace("as", "deployment") if key == "as" else key for field in Job.model_fields.values() for key in keys_of(_section(field))}
    others = {"typed", "parse", "version", "command", "config", "ema", "json", "summary", "quiet", "log_file"}
    assert keys == set(options) - others


def _section(field: Any) -> Any:
    return field.annotation if hasattr(field.annotation, "model_fields") else field.annotation.__args__[0]


texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=8).filter(lambda text: text != "N")  # which stands for a number
values = st.one_of(st.integers(-1000, 1000), st.booleans(), texts, st.lists(st.integers(0, 9), max_size=3))


@given(st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True), values, max_size=3))
def test_arguments_come_through_whatever_they_are(arguments: dict[str, object]) -> None:
    """As typed options, a text stays a text and a list a list."""
    from efficient360.cli.checkpoint_options import pairs

    (options,) = options_of(Job.model_validate({"models": [{"checkpoint": "a", "arch_arg": arguments}]}))
    assert pairs("--arch-arg", parse_arguments(["evaluate", *options]).arch_arg) == arguments


def test_one_that_fails_costs_the_others_nothing(plans: list[Plan], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["evaluate", "a", "broken", "b", "--only", "accuracy", "--json"]) == 2
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert [run["checkpoint"] for run in result["runs"]] == ["a", "b"]
    assert [(entry["checkpoint"], entry["code"]) for entry in result["errors"]] == [("broken", "checkpoint-unreadable")]
    assert "broken is broken" in printed.err


def test_what_all_share_is_refused_at_once(plans: list[Plan]) -> None:
    assert run_command(["evaluate", "a", "b", "--only", "acuracy"]) == 2
    assert plans == []


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 3)])
def test_missing_metrics_count_when_strict(plans: list[Plan], strict: tuple[str, ...], code: int) -> None:
    assert run_command(["evaluate", "a", "b", "--quiet", *strict]) == code


@pytest.mark.parametrize(
    ("references", "folders"),
    [
        (["a/model.safetensors", "b/model.safetensors"], ["a-model", "b-model"]),
        (["x/a/model.pth", "y/a/model.pth", "other.pth"], ["x-a-model", "y-a-model", "other"]),
        (["digits-vit", "digits-vit"], ["digits-vit", "digits-vit-2"]),
        (["hf-hub:org/name", "runs/best"], ["hf-hub_org_name", "best"]),
    ],
)
def test_each_has_a_folder_of_its_own(references: list[str], folders: list[str]) -> None:
    jobs = planned(parse_arguments(["evaluate", *references, "--out", "all"]))
    assert [job.out for job in jobs] == [Path("all") / folder for folder in folders]


def test_one_checkpoint_keeps_the_folder_that_is_named(plans: list[Plan]) -> None:
    assert run_command(["evaluate", "--dataset", "digits", "a", "--out", "here", "--quiet"]) == 0
    assert plans[0].out == Path("here")


def test_without_a_checkpoint_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["evaluate", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "no-checkpoint"


def test_init_writes_a_job_that_reads_back(tmp_path: Path, tiny: Path, plans: list[Plan], capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.yaml"
    assert (
        run_command(["init", str(tiny), "digits-vit", "--preprocess", "mean=[0.5, 0.5, 0.5]", "--dataset", "digits", "--split", "train", "--out", str(path)])
        == 0
    )
    job = read_job(path)
    assert [model.checkpoint for model in job.models] == [str(tiny), "digits-vit"]
    assert job.models[0].preprocess == {"mean": [0.5, 0.5, 0.5]}
    assert (job.data.dataset, job.data.split, job.evaluation.protocol) == ("digits", "train", "quick")
    assert run_command(["init", "--out", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert run_command(["init", "--out", str(path), "--force"]) == 0
    assert read_job(path).models[0].checkpoint == "digits-vit"


def test_what_init_offers_in_comments_is_a_job_too(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    assert run_command(["init", "--out", str(path)]) == 0
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("  # ")]
    offered = [line.replace("  # ", "  ", 1) for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(("# ", "  # test:", "  # vit"))]
    assert len(lines) > 10
    path.write_text("\n".join(offered), encoding="utf-8")
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["results"]["strict"] is True
    read_job(path)


def test_nor_is_one_in_a_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "job.yaml").write_text("models: [{checkpoint: net.pth, arch_arg: {num_heads: N}}]", encoding="utf-8")
    assert run_command(["evaluate", "--config", str(tmp_path / "job.yaml"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "placeholder"


def test_a_placeholder_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["evaluate", "net.pth", "--arch", "net.py:Net", "--arch-arg", "num_heads=N", "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "placeholder"
    assert "num_heads=6" in error["hint"]
