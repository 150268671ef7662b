import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices.device import DeviceReading, Job, Schedule
from efficient360.deployment.devices.local import Local, local_workspace
from efficient360.deployment.devices.worker import WorkerFailed, WorkerProcess

READ = "import sys, os, signal, time, ctypes; sys.stdin.readline(); "


def failure(code: str, timeout: float = 60.0) -> WorkerFailed:
    with closing(WorkerProcess((sys.executable, "-S", "-c", READ + code))) as link, pytest.raises(WorkerFailed) as caught:
        link.ask("block", timeout)
    return caught.value


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("ctypes.string_at(0)", "worker-crashed", "the worker was ended by SIGSEGV in timing"),
        ("os.kill(os.getpid(), signal.SIGABRT)", "worker-crashed", "the worker was ended by SIGABRT in timing"),
        ("os._exit(3)", "worker-crashed", "the worker ended with code 3 in timing"),
        ("sys.exit('no more disk')", "worker-crashed", "the worker ended with code 1 in timing: no more disk"),
        ("os._exit(0)", "worker-crashed", "the worker ended with code 0 in timing"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "worker-killed", "the worker was killed in timing"),
        ('print(\'{"error": "ValueError: bad"}\', flush=True)', "runtime-error", "the runtime failed in timing: ValueError: bad"),
    ],
)
def test_how_a_worker_ends(code: str, error: str, message: str) -> None:
    found = failure(code)
    assert (found.code, found.message) == (error, message)
    assert found.hint


def test_a_worker_that_hangs_is_ended_with_what_it_started() -> None:
    found = failure("time.sleep(600)", timeout=0.3)
    assert (found.code, found.message) == ("worker-hung", "the worker gave no answer to timing for 0 s and was ended")


def test_a_worker_ends_with_its_link() -> None:
    link = WorkerProcess((sys.executable, "-S", "-c", "import time; time.sleep(600)"))
    process = Path(f"/proc/{link.pid}")
    assert process.exists()
    link.close()
    assert not process.exists()


def test_an_answer_may_come_in_pieces_and_two_at_once() -> None:
    code = "print('{\"a\":', end='', flush=True); time.sleep(0.05); print(' 1}\\n{\"a\": 2}', flush=True); time.sleep(600)"
    with closing(WorkerProcess((sys.executable, "-S", "-c", READ + code))) as link:
        assert link.ask("block", 60.0) == {"a": 1}
        assert link.ask("block", 60.0) == {"a": 2}


NOISY = """
import os
import numpy as np

MODULES = ()
print("hello from the import")

def version():
    return "1.0"

def load(folder, settings):
    print("hello from loading")
    os.write(1, b"hello from C\\n")
    return lambda images: images.sum((2, 3))
"""


def test_what_a_runtime_prints_does_not_disturb_the_answers(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    np.save(tmp_path / "images.npy", np.ones((3, 3, 4, 4), np.float32))
    with local_workspace(1, {}, None) as place, closing(place.start()) as link:
        request = {"session": str(tmp_path / "noisy.py"), "folder": ".", "settings": {}, "images": str(tmp_path / "images.npy"), "batch": 2}
        assert link.ask("load", 60.0, **request)["version"] == "1.0"
        link.ask("answer", 60.0, images=request["images"], logits=str(tmp_path / "logits.npy"))
        with pytest.raises(WorkerFailed, match=r"^the runtime failed in answering images: FileNotFoundError: .*nothing\.npy") as caught:
            link.ask("answer", 60.0, images="nothing.npy", logits="out.npy")
        assert caught.value.code == "runtime-error"
        assert link.ask("idle", 60.0, seconds=0.0)["seconds"] >= 0  # it lives on
    assert (np.load(tmp_path / "logits.npy") == 16.0).all()
    assert np.load(tmp_path / "logits.npy").shape == (3, 3)


def test_those_that_fail_take_nothing_with_them(little: Callable[..., Job], probes: Path, short: Schedule) -> None:
    jobs = [little("good"), little("segfault", dies="SIGSEGV"), little("killed", dies="SIGKILL"), little("raises", raises="no such operator"), little("fine")]
    steps: list[tuple[int, int]] = []
    found = list(Local().measure(jobs, probes, short, lambda done, total: steps.append((done, total))))
    assert [job for job, _ in found] == jobs
    failures = [outcome.code if isinstance(outcome, Failure) else "" for _, outcome in found]
    assert failures == ["", "worker-crashed", "worker-killed", "runtime-error", ""]
    assert all(outcome.status is Status.FAILED for _, outcome in found if isinstance(outcome, Failure))
    messages = [outcome.message for _, outcome in found if isinstance(outcome, Failure)]
    assert messages[0].startswith("the worker was ended by SIGSEGV in loading the model")
    assert messages[2] == "the runtime failed in loading the model: ValueError: no such operator"
    for good in (found[0][1], found[4][1]):
        assert isinstance(good, DeviceReading)
        assert good.logits is not None
        assert np.allclose(good.logits, np.load(probes).sum((2, 3)), rtol=1e-6)
        assert len(good.blocks) == short.blocks
        assert sum(len(block.wall) for block in good.blocks) >= short.runs
        assert all(len(block.wall) == len(block.cpu) and sum(block.wall) <= block.seconds for block in good.blocks)
        assert good.memory is not None
        assert good.memory > 1e6
        assert all(cold.load >= 0 and cold.first > 0 for cold in good.cold)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert all(done <= total for done, total in steps)


def test_what_local_is() -> None:
    facts = Local().describe()
    assert facts.name == "local"
    assert facts.emulated == ""
    assert facts.cores >= 1
    assert facts.memory > 2**28
    assert facts.architecture
    assert "torch" in facts.runtimes
