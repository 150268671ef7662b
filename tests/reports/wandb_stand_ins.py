"""Stand-ins for W&B's tests: a report, a reader of the bytes an offline run wrote, and as much of the server as an upload asks for."""

import gzip
import http.server
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from efficient360.core.measurement import BYTE, ONE, Better, Failure, Interval, Measurement, Metric, Status
from efficient360.core.outcome import Record
from efficient360.dimensions.dimension import Anchor, Dimension
from efficient360.reports.report import Report, axes_of

TOP1 = Metric("top1", ONE, Better.HIGHER, "share right", low=0, high=1)
ROBUST = Metric("robust_accuracy", ONE, Better.HIGHER, "share right under attack", low=0, high=1)
WEIGHTS = Metric("weight_bytes", BYTE, Better.LOWER, "bytes", low=0)
DIGEST, DATA_DIGEST = "c0ffee" * 10, "beef" * 16


def make_report() -> Report:
    """A report with an interval, an exact value, conditions and a failure."""
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
        "complete",
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:01:00Z",
        "efficient360 evaluate tiny",
        {
            "reference": "tiny.safetensors",
            "name": "tiny vit/8",
            "architecture": "vit_tiny",
            "arguments": {"img_size": 8},
            "digest": DIGEST,
            "class_names": ["a", "b"],
        },
        {"name": "digits", "digest": DATA_DIGEST, "examples": 897, "classes": 2},
        {"torch": "2.14", "host": "here"},
        {"name": "quick", "seed": 7},
        records,
        axes_of(dimensions, records),
    )


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


def read_run(run_folder: Path) -> Read:
    """All that one run's transaction log holds."""
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


class Server(http.server.BaseHTTPRequestHandler):
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
