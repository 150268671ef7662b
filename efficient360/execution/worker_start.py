"""How a worker begins: forked from a process that has imported the libraries, where that is safe; else as a program of its own.

The libraries take seconds to import. One program does so for all workers of a process, and each worker is a copy of it, as fresh as a new process.
Forking a process that runs threads or holds a CUDA context is not safe; that program does neither.
"""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, final

from efficient360.core import processes

_ALONE: Final = (sys.executable, "-P", "-m", "efficient360.execution.worker_process")
_WARM: Final = (sys.executable, "-P", "-m", "efficient360.execution.warm_start")


class WorkerHandle(ABC):
    """A worker's process as the process that started it sees it."""

    pid: int

    @abstractmethod
    def feed(self, job: bytes) -> None:
        """Write its job to its standard input and close that; a worker that is dead already is no error."""

    @abstractmethod
    def poll(self) -> int | None:
        """Its exit code as :mod:`subprocess` gives it, ``None`` while it runs."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs after so many seconds.
        """

    @abstractmethod
    def kill(self) -> None:
        """End it at once."""


def start_worker(output: int, events: int) -> WorkerHandle:
    """Start a worker.

    Args:
        output: Descriptor of what it prints.
        events: Descriptor of its events.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # none that could fork: the worker alone will say what is wrong
            return _warm().fork(output, events)
    return _Alone(output, events)


@final
class _Alone(WorkerHandle):
    """A program of its own rather than a spawned copy of the caller's: the caller's script needs no guard, and no folder is imported from."""

    def __init__(self, output: int, events: int) -> None:
        command = [*_ALONE, str(events), str(os.getpid())]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, pass_fds=(events,), env=processes.environment(), bufsize=0
        )
        self.pid = self._process.pid

    def feed(self, job: bytes) -> None:
        if self._process.stdin is not None:
            _feed(self._process.stdin.fileno(), job)
            self._process.stdin.close()

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)

    def kill(self) -> None:
        self._process.kill()


@final
class _Forked(WorkerHandle):
    """A worker that another process forked, which tells its number and its exit code through a socket."""

    def __init__(self, server: "_Server", stdin: int, link: socket.socket) -> None:
        self._server = server  # it lives as long as its workers
        self._stdin, self._link, self._code = stdin, link, None
        self._lines = link.makefile("rb")
        said = self._lines.readline()
        if not said:
            raise ConnectionResetError("the process that forks workers is gone")
        self.pid = int(said)

    def feed(self, job: bytes) -> None:
        _feed(self._stdin, job)
        os.close(self._stdin)

    def poll(self) -> int | None:
        if self._code is None and select.select([self._link], [], [], 0)[0]:
            self.wait()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            if not select.select([self._link], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            said = self._lines.readline()
            self._code = int(said) if said else -9  # with the process that forked it
        return self._code

    def kill(self) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, 9)


@final
class _Server:
    """The process that has imported the libraries, and what it was started under."""

    def __init__(self, state: object) -> None:
        self.state = state
        self._control, theirs = socket.socketpair()
        with theirs:
            command = [*_WARM, str(theirs.fileno()), str(os.getpid())]
            nothing = subprocess.DEVNULL
            self._process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, pass_fds=(theirs.fileno(),), env=processes.environment())

    def fork(self, output: int, events: int) -> WorkerHandle:
        """A new worker.

        Raises:
            OSError: The process is gone, or it can't fork.
        """
        reading, writing = os.pipe()
        link, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [os.fsencode(Path.cwd())], [reading, output, events, theirs.fileno()])
            return _Forked(self, writing, link)
        except BaseException:
            os.close(writing)
            link.close()
            raise
        finally:
            os.close(reading)


@final
class _Warm:
    """The server in use. Another one is started where the environment, this process or the package's files are no longer those that it began with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def fork(self, output: int, events: int) -> WorkerHandle:
        """A new worker.

        Raises:
            OSError: No process can be had that forks one.
        """
        with self._lock:
            state = _state()
            if self._server is not None and self._server.state == state:
                with contextlib.suppress(OSError):  # it was idle for long, and ended
                    return self._server.fork(output, events)
            self._server = _Server(state)
            return self._server.fork(output, events)


@cache
def _warm() -> _Warm:
    """One for this process, as :mod:`multiprocessing` has one fork server."""
    return _Warm()


def _state() -> tuple[int, Mapping[str, str], object]:
    """What a worker takes over from the process that it is forked from."""
    root = Path(__file__).parents[1]
    files = [(entry.st_mtime_ns, entry.st_size) for entry in (path.stat() for path in sorted(root.rglob("*.py")))]
    return os.getpid(), dict(os.environ), files


def _feed(descriptor: int, job: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # a worker that died at once is told apart by its exit code
        while job:
            job = job[os.write(descriptor, job) :]
