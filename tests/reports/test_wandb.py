"""A report in W&B, read back from the bytes that an offline run wrote, and uploaded to a stand-in for the server."""

import fcntl
import gzip
import http.server
import json
import os
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from efficient360.dimensions.dimension import Anchor, Dimension
from efficient360.errors import SettingsError
from efficient360.measurement import BYTE, ONE, Better, Failure, Interval, Measurement, Metric, Status
from efficient360.outcome import Record
from efficient360.reports import wandb_payload as payload
from efficient360.reports import wandb_upload
from efficient360.reports.report import Report, axes_of
from efficient360.reports.wandb import Mode, Target, WandbOutcome, log, target
from efficient360.reports.wandb_process import bounded

TOP1 = Metric("top1", ONE, Better.HIGHER, "share right", low=0, high=1)
ROBUST = Metric("robust_accuracy", ONE, Better.HIGHER, "share right under attack", low=0, high=1)
WEIGHTS = Metric("weight_bytes", BYTE, Better.LOWER, "bytes", low=0)
DIGEST, DATA_DIGEST = "c0ffee" * 10, "beef" * 16
KEY = "0123456789" * 4


@pytest.fixture(scope="module")
def report() -> Report:
    records = [
        Record("accuracy", Measurement(TOP1, 0.875, 897, Interval(0.85, 0.9, "wilson"))),
        Record("weights", Measurement(WEIGHTS, 832_000.0)),
        Record("pgd", Measurement(ROBUST, 0.25, 64, Interval(0.16, 0.37, "wilson"), {"norm": "linf", "epsilon": 0.5})),
        Record("latency", Failure(Status.UNSUPPORTED, "no-runtime", "nothing runs it", "install one")),
    ]
    dimensions = [
        Dimension("performance", "Performance", "How right?", 0, (Anchor("accuracy", "top1", 0.5, 1.0, "chance and perfect"),)),
        Dimension("latency", "Latency", "How fast?", 1, (Anchor("latency", "latency_p50", 1.0, 0.001, "1 s and 1 ms"),)),
        Dimension("memory", "Memory", "How big?", 2, (Anchor("weights", "weight_bytes", 1e6, 0.0, "1 MB and nothing"),)),
    ]
    return Report(
        "complete", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", "efficient360 evaluate tiny", {
            "reference": "tiny.safetensors", "name": "tiny vit/8", "architecture": "vit_tiny", "arguments": {"img_size": 8}, "digest": DIGEST,
            "class_names": ["a", "b"],
        }, {"name": "digits", "digest": DATA_DIGEST, "examples": 897, "classes": 2}, {"torch": "2.14", "host": "here"},
        {"name": "quick", "seed": 7}, records, axes_of(dimensions, records),
    )


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
        "accuracy/top1": 0.875, "weights/weight_bytes": 832_000.0, "pgd/robust_accuracy/epsilon_0_5/norm_linf": 0.25,
        "dimensions/performance": 0.75, "dimensions/memory": pytest.approx(0.168),
    }


def test_particulars_carry_interval_n_coverage_and_failures(report: Report) -> None:
    assert payload.particulars(report) == {
        "accuracy/top1/low": 0.85, "accuracy/top1/high": 0.9, "accuracy/top1/n": 897, "weights/weight_bytes/n": 1,
        "pgd/robust_accuracy/epsilon_0_5/norm_linf/low": 0.16, "pgd/robust_accuracy/epsilon_0_5/norm_linf/high": 0.37,
        "pgd/robust_accuracy/epsilon_0_5/norm_linf/n": 64, "failures": 1,
        "dimensions/performance/coverage": 1.0, "dimensions/latency/coverage": 0.0, "dimensions/memory/coverage": 1.0,
    }


def test_conditions_that_read_alike_keep_both_values(report: Report) -> None:
    alike = [Record("e", Measurement(TOP1, value, conditions={"at": at})) for value, at in ((0.1, "0.5"), (0.2, "0_5"))]
    assert payload.metrics(replace(report, records=alike, axes=())) == {"e/top1/at_0_5": 0.1, "e/top1/at_0_5_2": 0.2}


def test_a_failure_is_a_row_without_a_value(report: Report) -> None:
    assert payload.rows(report)[3] == ["latency", None, "", None, None, None, None, None, "unsupported", "nothing runs it"]
    assert payload.rows(report)[2] == ["pgd", "robust_accuracy", "epsilon=0.5, norm=linf", 0.25, "1", 0.16, 0.37, 64, "measured", ""]


def test_tags_fit_the_limit_and_are_unique(report: Report) -> None:
    long = replace(report, protocol={"name": "digits"}, checkpoint={"architecture": "x" * 100})
    assert payload.tags(long) == ("digits", "x" * 64)


@pytest.mark.parametrize(("text", "wanted"), [("vits", Target("vits")), ("team/vits", Target("vits", "team"))])
def test_target(text: str, wanted: Target) -> None:
    assert target(text) == wanted


@pytest.mark.parametrize("text", ["", "team/", "a/b/c", "what?", "x" * 129])
def test_a_name_that_wandb_refuses(text: str) -> None:
    with pytest.raises(SettingsError, match="can't be a W&B project") as error:
        target(text)
    assert error.value.code == "wandb-project"


# --- what an offline run wrote


@dataclass
class Read:
    """An offline run read back: last value of each key, whatever record it stood in."""

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, Any] = field(default_factory=dict)


def _chunks(data: bytes) -> Iterator[bytes]:
    """The records of a W&B transaction log: a 7-byte head, then LevelDB's log format in blocks of 32 KiB."""
    assert data[:4] == b":W&B"
    at, parts = 7, b""
    while at < len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


def _read(run_folder: Path) -> Read:
    from wandb.proto import wandb_internal_pb2

    (log_file,) = run_folder.glob("*.wandb")
    found = Read()
    for chunk in _chunks(log_file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(chunk)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.run = record.run
            found.config = {u.key: json.loads(u.value_json) for u in record.run.config.update}
        elif kind == "summary":
            found.summary |= {"/".join(u.nested_key) or u.key: json.loads(u.value_json) for u in record.summary.update}
        elif kind == "history":
            found.history |= {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
        elif kind == "artifact":
            found.artifacts[record.artifact.type] = record.artifact
    return found


@pytest.fixture(scope="module")
def offline(report: Report, tmp_path_factory: pytest.TempPathFactory) -> WandbOutcome:
    folder = tmp_path_factory.mktemp("run")
    _files(folder)
    return log(report, folder, "team/vits", Mode.OFFLINE)


@pytest.fixture(scope="module")
def read(offline: WandbOutcome) -> Read:
    assert offline.folder is not None
    return _read(offline.folder)


def test_offline_says_where_and_how_to_upload(offline: WandbOutcome) -> None:
    assert offline.folder is not None
    assert offline.folder.parent.name == "wandb"
    assert (offline.url, offline.problem) == ("", "")
    assert offline.command == f"wandb sync {offline.folder}"


def test_offline_run_names_itself(read: Read) -> None:
    assert (read.run.project, read.run.entity, read.run.display_name, read.run.job_type) == ("vits", "team", "tiny vit/8", "evaluation")
    assert list(read.run.tags) == ["quick", "digits", "vit_tiny"]


def test_offline_run_holds_every_metric_and_interval(read: Read, report: Report) -> None:
    for key, value in (payload.metrics(report) | payload.particulars(report)).items():
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
    assert outcomes["data"] == payload.rows(report)
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
    assert log(report, tmp_path, "vits", Mode.DISABLED) == WandbOutcome()
    assert list(tmp_path.iterdir()) == []


def test_out_of_reach_keeps_the_run_and_names_the_command(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    done = log(report, tmp_path, "vits", Mode.ONLINE)
    assert done.folder is not None
    assert done.url == ""
    assert done.problem.startswith("http://127.0.0.1:9 can't be reached (")
    assert done.problem.endswith(f"upload it with: wandb sync {done.folder}")
    assert _read(done.folder).summary["accuracy/top1"] == 0.875


def test_a_broken_wandb_is_a_problem_and_no_exception(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "no address")
    done = log(report, tmp_path, "vits", Mode.OFFLINE)
    assert (done.url, done.folder, done.command) == ("", None, "")
    assert done.problem.startswith("the run could not be written (")
    assert "ValidationError" in done.problem
    assert "base_url" in done.problem
    assert done.problem.endswith(f"the evaluation itself is complete in {tmp_path}")


def test_a_bad_name_is_told_in_every_mode(report: Report, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'no\\?such' can't be a W&B project"):
        log(report, tmp_path, "no?such", Mode.DISABLED)


class _Server(http.server.BaseHTTPRequestHandler):
    """As much of W&B's server as an upload asks for."""

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self._body()
        self._answer({})

    def do_POST(self) -> None:
        body = self._body()
        self._answer(self._data(json.loads(body)) if self.path == "/graphql" else {})

    def _data(self, query: dict[str, Any]) -> dict[str, Any]:
        given = query.get("variables") or {}
        self.server.asked.append((query["operationName"], given))  # type: ignore[attr-defined]
        if query["operationName"] == "UpsertBucket":
            project = {"id": "P", "name": given["project"], "entity": {"id": "E", "name": given["entity"] or "me"}}
            bucket = {"id": "R", "name": given["name"], "displayName": given["displayName"], "description": "", "config": "{}"}
            return {"data": {"upsertBucket": {"inserted": True, "bucket": bucket | {"sweepName": None, "historyLineCount": 0, "project": project}}}}
        if query["operationName"] == "CreateRunFiles":
            at = f"http://127.0.0.1:{self.server.server_address[1]}/put/"
            files = [{"name": name, "uploadUrl": at + name} for name in given["files"]]
            return {"data": {"createRunFiles": {"runID": "R", "uploadHeaders": [], "files": files}}}
        if query["operationName"] == "CreateArtifact":
            sequence = {"id": "S", "latestArtifact": None}
            return {"data": {"createArtifact": {"artifact": {"id": "A", "state": "COMMITTED", "artifactSequence": sequence}}}}
        return {"data": {}}

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, data: dict[str, Any]) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        running.asked = []  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_upload_gives_the_runs_page(
    offline: WandbOutcome, server: http.server.ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert offline.folder is not None
    at = f"http://127.0.0.1:{server.server_address[1]}"
    done = wandb_upload.upload(offline.folder, at)
    run_id = offline.folder.name.rpartition("-")[2]
    assert done == wandb_upload.Upload(f"{at}/team/vits/runs/{run_id}", "")
    created = [given["input"]["artifactCollectionName"] for name, given in server.asked if name == "CreateArtifact"]  # type: ignore[attr-defined]
    assert "evaluation-tiny_vit_8" in created


def test_no_key_asks_nobody(report: Report, tmp_path: Path, server: http.server.ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_address[1]}")
    done = log(report, tmp_path, "vits", Mode.ONLINE)
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
    assert bounded(["hang"], tmp_path, 4.0, {}) is None
    with (tmp_path / "held").open() as held:
        # Held by both processes until both are gone; a survivor would keep us here until the time limit.
        fcntl.flock(held, fcntl.LOCK_EX)


def test_a_process_that_dies_without_an_answer(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb.py").write_text("import os\nprint('out of memory', flush=True)\nos._exit(9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = log(report, tmp_path, "vits", Mode.OFFLINE)
    assert done.problem == f"the run could not be written (out of memory); the evaluation itself is complete in {tmp_path}"


def test_an_upload_that_takes_too_long_is_a_problem(tmp_path: Path, server: http.server.ThreadingHTTPServer) -> None:
    at = f"http://127.0.0.1:{server.server_address[1]}"
    assert wandb_upload.upload(tmp_path, at, 0.0) == wandb_upload.Upload("", f"the upload to {at} was not done within 0 s")


def test_a_server_that_is_no_address() -> None:
    assert "can't be reached" in wandb_upload.unreachable("no-address")
