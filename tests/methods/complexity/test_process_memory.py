import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from efficient360.core.measurement import Failure, Status
from efficient360.methods.complexity import memory_worker
from efficient360.methods.complexity.process_memory import MemoryRequest, PeakMemory, measure_process
from efficient360.models.checkpoint import CheckpointSpec

REQUEST = MemoryRequest(CheckpointSpec("model.safetensors", "vit", {"depth": 2}), "abc", (1, 3), "cpu", 4, 1, 0)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def failed(code: str, timeout: float = 60) -> Failure:
    result = measure_process(REQUEST, timeout, python(code))
    assert isinstance(result, Failure)
    assert result.status is Status.FAILED
    return result


@pytest.mark.parametrize("request_", [REQUEST, replace(REQUEST, keep=None, checkpoint=CheckpointSpec("x", random_weights=True, weights_key="ema", seed=7))])
def test_a_request_survives_json(request_: MemoryRequest) -> None:
    assert MemoryRequest.from_json(request_.to_json()) == request_


def test_the_last_line_of_the_worker_is_its_result() -> None:
    code = "import sys, json; d = json.load(sys.stdin); print('chatter'); print(json.dumps({'baseline': 1, 'loaded': 2, 'peak': d['batch']}))"
    assert measure_process(REQUEST, 60, python(code)) == PeakMemory(1, 2, 4)


def test_an_error_of_the_worker_keeps_its_code() -> None:
    error = {"error": {"code": "weights-changed", "message": "they differ", "hint": "don't"}}
    found = failed(f"print('''{json.dumps(error)}''')".replace("\\", "\\\\").replace("don't", "do not"))
    assert (found.code, found.message, found.hint) == ("weights-changed", "they differ", "do not")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_worker_terminated_by_a_signal(name: str) -> None:
    found = failed(f"import os, signal, sys; print('last words', file=sys.stderr, flush=True); os.kill(os.getpid(), signal.{name})")
    assert found.code == "worker-crashed"
    assert f"batch 4 was ended by {name}" in found.message
    assert "last words" in found.message


def test_a_killed_worker_most_likely_ran_out_of_memory() -> None:
    found = failed(f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})")
    assert found.code == "worker-crashed"
    assert "SIGKILL" in found.message
    assert "out of memory" in found.hint


def test_a_worker_that_raised_is_quoted_by_its_last_line() -> None:
    found = failed("raise MemoryError('no room')")
    assert (found.code, found.message) == ("worker-crashed", "the process that ran batch 4 ended with code 1: MemoryError: no room")


def test_a_worker_that_takes_too_long_is_terminated() -> None:
    found = failed("import sys; sys.stdin.read(); import threading; threading.Event().wait()", timeout=0.5)
    assert found.code == "worker-timeout"
    assert "batch 4" in found.message


@pytest.mark.skipif(sys.platform != "linux", reason="the inherited peak is Linux's")
def test_the_peak_is_not_that_of_the_parent_process() -> None:
    file = Path(memory_worker.__file__)
    source = file.read_text()
    function = source[source.index("def peak_resident") : source.index("def measure(")]
    child = "import sys\nfrom pathlib import Path\n" + function + "\nprint(peak_resident())"
    held = bytearray(300_000_000)
    held[::4096] = b"1" * len(held[::4096])  # touch each page
    small = int(subprocess.run(python(child), capture_output=True, text=True, check=True).stdout)
    del held
    assert 1e6 < small < 100e6
    assert memory_worker.peak_resident() > 300e6


def test_the_peak_grows_with_touched_memory() -> None:
    before = memory_worker.peak_resident()
    held = bytearray(before + 50_000_000)
    held[::4096] = b"1" * len(held[::4096])
    assert memory_worker.peak_resident() > before + 50_000_000
