"""A report in W&B, read back from the bytes that an offline run wrote, and uploaded to a stand-in for the server."""

import fcntl
import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from wandb_stand_ins import DATA_DIGEST, DIGEST, TOP1, Read, Server, make_report, read_run

from efficient360.core.findings import Finding
from efficient360.core.measurement import Measurement
from efficient360.core.outcome import Record
from efficient360.errors import SettingsError
from efficient360.reports.report import Report
from efficient360.reports.wandb import payload
from efficient360.reports.wandb.log import Upload, WandbMode, WandbOutcome, WandbProject, log, mode_of, parse_project, run_module, sync, unreachable

KEY = "0123456789" * 4


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report()


@pytest.fixture(scope="module", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """W&B keeps staging and caches under the home folder; here under one of the test's own, and no key or server of the user's is seen."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
            patch.setenv(name, str(home))
        for name in list(os.environ):
            if name.lower().endswith("_proxy") or name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_MODE"):
                patch.delenv(name)
        patch.setenv("NETRC", str(home / "netrc"))
        patch.setenv("HOME", str(home))
        yield


def _files(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "report.json").write_text('{"schema_version": 1}')
    (folder / "report.html").write_text("<p>report</p>")


# --- what is logged, as plain data


def test_metrics_have_no_key_for_what_is_missing(report: Report) -> None:
    assert payload.metrics(report) == {
        "accuracy/top1": 0.875,
        "weights/weight_bytes": 832_000.0,
        "pgd/robust_accuracy/epsilon_0_5/norm_linf": 0.25,
        "dimensions/performance": 0.75,
        "dimensions/memory": pytest.approx(0.168),
    }


def test_summary_values_carry_interval_n_coverage_and_failures(report: Report) -> None:
    assert payload.summary_values(report) == {
        "accuracy/top1/low": 0.85,
        "accuracy/top1/high": 0.9,
        "accuracy/top1/n": 897,
        "weights/weight_bytes/n": 1,
        "pgd/robust_accuracy/epsilon_0_5/norm_linf/low": 0.16,
        "pgd/robust_accuracy/epsilon_0_5/norm_linf/high": 0.37,
        "pgd/robust_accuracy/epsilon_0_5/norm_linf/n": 64,
        "failures": 1,
        "finding_count": 0,
        "dimensions/performance/coverage": 1.0,
        "dimensions/latency/coverage": 0.0,
        "dimensions/memory/coverage": 1.0,
    }


def test_conditions_that_read_alike_keep_both_values(report: Report) -> None:
    alike = [Record("e", Measurement(TOP1, value, conditions={"at": at})) for value, at in ((0.1, "0.5"), (0.2, "0_5"))]
    assert payload.metrics(replace(report, records=alike, axes=())) == {"e/top1/at_0_5": 0.1, "e/top1/at_0_5_2": 0.2}


def test_a_failure_is_a_row_without_a_value(report: Report) -> None:
    assert payload.outcome_rows(report)[3] == ["latency", None, "", None, None, None, None, None, "unsupported", "nothing runs it"]
    assert payload.outcome_rows(report)[2] == ["pgd", "robust_accuracy", "epsilon=0.5, norm=linf", 0.25, "1", 0.16, 0.37, 64, "measured", ""]


def test_findings_are_counted_and_told_in_full(report: Report) -> None:
    doubtful = replace(report, findings=(Finding("near-chance", "top-1 is 11 %", "look at the class names"),))
    assert payload.summary_values(doubtful)["finding_count"] == 1
    assert payload.run_payload(doubtful, Path("run"), "vits", "")["tables"]["findings"] == {
        "columns": ("code", "message", "advice"),
        "data": [["near-chance", "top-1 is 11 %", "look at the class names"]],
    }


def test_tags_fit_the_limit_and_are_unique(report: Report) -> None:
    long = replace(report, protocol={"name": "digits"}, checkpoint={"architecture": "x" * 100})
    assert payload.tags(long) == ("digits", "x" * 64)


@pytest.mark.parametrize(("text", "expected"), [("vits", WandbProject("vits")), ("team/vits", WandbProject("vits", "team"))])
def test_a_project_with_and_without_an_entity(text: str, expected: WandbProject) -> None:
    assert parse_project(text) == expected


@pytest.mark.parametrize("text", ["", "team/", "a/b/c", "what?", "x" * 129])
def test_a_name_that_wandb_refuses(text: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_project(text)
    assert error.value.code == "wandb-project"


# --- what an offline run wrote


@pytest.fixture(scope="module")
def offline(report: Report, tmp_path_factory: pytest.TempPathFactory) -> WandbOutcome:
    folder = tmp_path_factory.mktemp("run")
    _files(folder)
    return log(report, folder, "team/vits", WandbMode.OFFLINE)


@pytest.fixture(scope="module")
def read(offline: WandbOutcome) -> Read:
    assert offline.folder is not None
    return read_run(offline.folder)


@pytest.mark.parametrize(
    ("given", "variable", "mode"),
    [
        (None, None, WandbMode.ONLINE),
        (None, "disabled", WandbMode.DISABLED),
        (None, "dryrun", WandbMode.OFFLINE),
        ("online", "disabled", WandbMode.ONLINE),
    ],
)
def test_the_mode_is_the_commands_or_the_environments(monkeypatch: pytest.MonkeyPatch, given: str | None, variable: str | None, mode: WandbMode) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if variable is not None:
        monkeypatch.setenv("WANDB_MODE", variable)
    assert mode_of(given) is mode


def test_a_mode_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    with pytest.raises(SettingsError) as caught:
        mode_of(None)
    assert caught.value.code == "wandb-mode"


def test_offline_says_where_and_how_to_upload(offline: WandbOutcome) -> None:
    assert offline.folder is not None
    assert offline.folder.parent.name == "wandb"
    assert (offline.url, offline.problem) == ("", "")
    assert offline.command == f"wandb sync {offline.folder}"


def test_offline_run_names_itself(read: Read) -> None:
    assert (read.run.project, read.run.entity, read.run.display_name, read.run.job_type) == ("vits", "team", "tiny vit/8", "evaluation")
    assert list(read.run.tags) == ["quick", "digits", "vit_tiny"]


def test_offline_run_holds_every_metric_and_interval(read: Read, report: Report) -> None:
    for key, value in (payload.metrics(report) | payload.summary_values(report)).items():
        assert read.summary[key] == value
    for key, value in payload.metrics(report).items():
        assert read.history[key] == value


def test_offline_run_has_no_value_for_the_gap(read: Read) -> None:
    assert "dimensions/latency" not in read.summary
    assert not [key for key in read.history if key.startswith("latency/")]


def test_offline_run_holds_the_config_with_digests(read: Read) -> None:
    checkpoint, data = read.config["checkpoint"], read.config["dataset"]
    assert (checkpoint["digest"], checkpoint["reference"], checkpoint["arguments"]) == (DIGEST, "tiny.safetensors", {"img_size": 8})
    assert (data["digest"], data["name"]) == (DATA_DIGEST, "digits")
    assert read.config["protocol"] == {"name": "quick", "seed": 7}
    assert read.config["environment"]["torch"] == "2.14"
    assert "class_names" not in checkpoint


def test_offline_run_holds_the_tables(read: Read, offline: WandbOutcome, report: Report) -> None:
    assert offline.folder is not None
    outcomes = json.loads((offline.folder / "files" / read.summary["outcomes/path"]).read_text())
    assert outcomes["columns"] == list(payload.COLUMNS)
    assert outcomes["data"] == payload.outcome_rows(report)
    axes = json.loads((offline.folder / "files" / read.summary["axes/path"]).read_text())
    assert axes["data"] == [["Performance", 0.75, 1.0], ["Latency", None, 0.0], ["Memory", pytest.approx(0.168), 1.0]]


def test_offline_run_holds_the_radar(read: Read, offline: WandbOutcome) -> None:
    assert offline.folder is not None
    assert read.summary["radar/_type"] == "plotly-file"
    drawn = json.loads((offline.folder / "files" / read.summary["radar/path"]).read_text())
    assert {trace["type"] for trace in drawn["data"]} == {"scatterpolar"}
    assert "Latency" in json.dumps(drawn["layout"])


def test_offline_run_holds_the_report_as_an_artifact(read: Read) -> None:
    artifact = read.artifacts["evaluation"]
    assert artifact.name == "evaluation-tiny_vit_8"
    assert json.loads(artifact.metadata) == {"checkpoint_digest": DIGEST, "dataset_digest": DATA_DIGEST}
    kept = {entry.path: Path(entry.local_path).read_text() for entry in artifact.manifest.contents}
    assert all("/wandb/artifacts/" in entry.local_path for entry in artifact.manifest.contents)
    assert kept == {"report.json": '{"schema_version": 1}', "report.html": "<p>report</p>"}


# --- what goes wrong


def test_disabled_writes_nothing(report: Report, tmp_path: Path) -> None:
    assert log(report, tmp_path, "vits", WandbMode.DISABLED) == WandbOutcome()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_out_of_reach_keeps_the_run_and_names_the_command(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    done = log(report, tmp_path, "vits", WandbMode.ONLINE)
    assert done.folder is not None
    assert done.url == ""
    assert done.problem.startswith("http://127.0.0.1:9 can't be reached (")
    assert done.problem.endswith(f"upload it with: wandb sync {done.folder}")
    assert read_run(done.folder).summary["accuracy/top1"] == 0.875


def test_a_broken_wandb_is_a_problem_and_no_exception(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "no address")
    done = log(report, tmp_path, "vits", WandbMode.OFFLINE)
    assert (done.url, done.folder, done.command) == ("", None, "")
    assert done.problem.startswith("the run could not be written (")
    assert "ValidationError" in done.problem
    assert "base_url" in done.problem
    assert done.problem.endswith(f"the evaluation itself is complete in {tmp_path}")


def test_a_bad_name_is_rejected_in_every_mode(report: Report, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        log(report, tmp_path, "no?such", WandbMode.DISABLED)
    assert error.value.code == "wandb-project"


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        running.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_upload_gives_the_runs_page(offline: WandbOutcome, server: http.server.ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert offline.folder is not None
    at = f"http://127.0.0.1:{server.server_address[1]}"
    done = sync(offline.folder, at)
    run_id = offline.folder.name.rpartition("-")[2]
    assert done == Upload(f"{at}/team/vits/runs/{run_id}", "")
    created = [given["input"]["artifactCollectionName"] for name, given in server.asked if name == "CreateArtifact"]  # type: ignore[attr-defined]
    assert "evaluation-tiny_vit_8" in created


@pytest.mark.slow
def test_no_key_asks_nobody(report: Report, tmp_path: Path, server: http.server.ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_address[1]}")
    done = log(report, tmp_path, "vits", WandbMode.ONLINE)
    assert "no API key" in done.problem
    assert done.problem.endswith(f"run `wandb login`, then upload it with: wandb sync {done.folder}")
    assert server.asked == []  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_what_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    (tmp_path / "hang.py").write_text(
        "import fcntl, signal, subprocess, sys\n"
        "held = open('held', 'w')\n"
        "fcntl.flock(held, fcntl.LOCK_EX)\n"
        "subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'], pass_fds=[held.fileno()])\n"
        "signal.pause()\n"
    )
    assert run_module(["hang"], tmp_path, 4.0, {"PYTHONPATH": str(tmp_path)}) is None
    with (tmp_path / "held").open() as held:
        # Held by both processes until both are gone; a survivor would keep us here until the time limit.
        fcntl.flock(held, fcntl.LOCK_EX)


def test_a_process_that_dies_without_an_answer(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb.py").write_text("import os\nprint('out of memory', flush=True)\nos._exit(9)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    done = log(report, tmp_path, "vits", WandbMode.OFFLINE)
    assert done.problem == f"the run could not be written (out of memory); the evaluation itself is complete in {tmp_path}"


def test_nothing_is_imported_from_the_runs_folder(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("print('imported from the folder')\n")
    assert "imported from the folder" not in (run_module(["json.tool"], tmp_path, 20.0, {}, "{}") or "")


def test_an_upload_that_takes_too_long_is_a_problem(tmp_path: Path, server: http.server.ThreadingHTTPServer) -> None:
    at = f"http://127.0.0.1:{server.server_address[1]}"
    assert sync(tmp_path, at, 0.0) == Upload("", f"the upload to {at} was not done within 0 s")


def test_a_server_that_is_no_address() -> None:
    assert "can't be reached" in unreachable("no-address")
