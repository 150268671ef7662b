import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from efficient360.core import program_start
from efficient360.core.program_start import Program, start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs are forked on Linux only")
LIGHT = "from efficient360.core import fork_server; fork_server.LIBRARIES = (); fork_server.main()"


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server of these tests' own, which imports no torch; it ends with them."""
    monkeypatch.setattr(program_start, "_SERVER", (sys.executable, "-P", "-c", LIGHT))
    own = program_start._Servers()
    monkeypatch.setattr(program_start, "_servers", lambda: own)
    yield
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if LIGHT in process.cmdline():
                process.kill()


@pytest.fixture
def begin() -> Iterator:
    opened: list[int] = []
    begun: list[Program] = []

    def begin() -> tuple[Program, int, int]:
        stdin, job = os.pipe()
        output, written = os.pipe()
        events, sending = os.pipe()
        begun.append(start("efficient360.execution.worker_process", stdin, written, [sending]))
        for descriptor in (stdin, written, sending):
            os.close(descriptor)
        opened.extend((output, events, job))
        return begun[-1], job, output

    yield begin
    for program in begun:
        program.kill()
    for descriptor in opened:
        os.close(descriptor)


def test_workers_are_copies_of_one_process(begin) -> None:
    first, second = begin()[0], begin()[0]
    assert first.pid != second.pid
    assert psutil.Process(first.pid).ppid() == psutil.Process(second.pid).ppid() != os.getpid()


def test_what_a_worker_prints_and_how_it_ended_comes_back(begin) -> None:
    worker, job, output = begin()
    assert worker.poll() is None
    os.write(job, b"no job\n")
    assert worker.wait(60) == 1
    assert worker.poll() == 1
    assert b"UnpicklingError" in os.read(output, 65536)


def test_one_that_is_killed_tells_the_signal(begin) -> None:
    worker, *_ = begin()
    os.kill(worker.pid, signal.SIGSEGV)
    assert worker.wait(60) == -signal.SIGSEGV
    worker.kill()  # its end is known: whoever has its number now is left alone


def test_one_that_runs_on_is_waited_for_as_long_as_was_said(begin) -> None:
    worker, *_ = begin()
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(0.01)
    worker.kill()
    assert worker.wait(60) == -signal.SIGKILL


def test_another_environment_wants_another_process(begin, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = begin()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    second, *_ = begin()
    servers = [psutil.Process(worker.pid).parent() for worker in (first, second)]
    assert servers[0] != servers[1]
    assert servers[1].environ()["OMP_NUM_THREADS"] == "7"
    assert first.poll() is None  # the first lives on with the process that it is a copy of


def test_a_process_that_is_gone_is_replaced_and_takes_its_workers_with_it(begin) -> None:
    first, *_ = begin()
    psutil.Process(first.pid).parent().kill()
    assert first.wait(60) == -signal.SIGKILL
    second, *_ = begin()
    assert second.poll() is None


def test_where_nothing_can_be_forked_the_worker_is_a_program_of_its_own(begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_start, "_SERVER", (sys.executable, "-c", "raise SystemExit(3)"))
    worker, *_ = begin()
    assert psutil.Process(worker.pid).ppid() == os.getpid()


FORKING = """
import os, time
from efficient360.core.program_start import start
def main(written):
    nothing = os.open(os.devnull, os.O_RDWR)
    program = start("idle", nothing, nothing)
    os.write(written, f"{os.getppid()} {program.pid}".encode())
    time.sleep(60)
"""


def test_a_program_asks_the_process_that_it_is_a_copy_of_and_what_it_asked_for_ends_with_it(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "idle.py").write_text("import time\ndef main(): time.sleep(60)")
    (tmp_path / "forking.py").write_text(FORKING)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", ""))))
    nothing = os.open(os.devnull, os.O_RDWR)
    reading, written = os.pipe()
    program = start("forking", nothing, nothing, [written])
    os.close(written)
    server, asked_for = map(int, os.read(reading, 100).split())
    forked = psutil.Process(asked_for)
    assert forked.ppid() == server
    program.kill()
    assert forked.wait(60) is None  # psutil tells no code of what is no child
    assert not forked.is_running()
    os.close(reading)
    os.close(nothing)
